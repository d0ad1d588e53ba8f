/** A TCP proxy before a host's sshd, whose connections are cut where a test says. */
import { connect, createServer, type Server, type Socket } from "node:net";

/** Where a connection is cut: at the nth write of one side, which still passes or does not. */
export interface Cut {
    /** `up`: what the provider writes; `down`: what the host answers. */
    direction: "up" | "down";
    at: number;
    passes: boolean;
    /** Nobody answers from then on, until the door is armed anew. */
    forGood: boolean;
}

export class Door {
    /** Writes of each side since the last time it was armed. */
    writes = { up: 0, down: 0 };
    /** Bytes of both sides since then. */
    bytes = 0;
    /** Whether the cut was made. */
    cut = false;
    private plan: Cut | undefined;
    private readonly sockets = new Set<Socket>();

    private constructor(
        private readonly server: Server,
        readonly port: number,
    ) {}

    /** Opens a way to a port of this machine. */
    static async open(target: number): Promise<Door> {
        const server = createServer();
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        const door = new Door(server, (server.address() as { port: number }).port);
        server.on("connection", (socket) => door.join(socket, target));
        return door;
    }

    /** Counts anew, and cuts as it is told; undefined: not at all. */
    arm(plan?: Cut): void {
        this.writes = { up: 0, down: 0 };
        this.bytes = 0;
        this.cut = false;
        this.plan = plan;
    }

    /** Cuts now, and for good. */
    shut(): void {
        this.plan = { direction: "up", at: 0, passes: false, forGood: true };
        this.cut = true;
        this.breakAll();
    }

    async close(): Promise<void> {
        this.breakAll();
        await new Promise((resolve) => this.server.close(resolve));
    }

    private join(near: Socket, target: number): void {
        if (this.cut && this.plan?.forGood === true) {
            near.destroy();
            return;
        }
        const far = connect(target, "127.0.0.1");
        for (const [from, to, direction] of [
            [near, far, "up"],
            [far, near, "down"],
        ] as const) {
            this.sockets.add(from);
            from.setNoDelay(true);
            from.on("error", () => {});
            from.on("close", () => {
                this.sockets.delete(from);
                to.destroy();
            });
            from.on("data", (chunk) => this.pass(direction, chunk, to));
        }
    }

    private pass(direction: "up" | "down", chunk: Buffer, to: Socket): void {
        this.bytes += chunk.length;
        const count = ++this.writes[direction];
        const here = this.plan?.direction === direction && this.plan.at === count && !this.cut;
        if (!here) {
            to.write(chunk);
            return;
        }
        this.cut = true;
        if (this.plan!.passes) to.write(chunk, () => this.breakAll());
        else this.breakAll();
    }

    private breakAll(): void {
        for (const socket of this.sockets) socket.destroy();
        this.sockets.clear();
    }
}
