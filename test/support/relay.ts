/** A way to a lab host that can be shut: to close it is what a host that was powered off looks like from here. */
import { connect, createServer, type Socket } from "node:net";

export interface Relay {
    port: number;
    close(): Promise<void>;
}

export async function relayTo(port: number): Promise<Relay> {
    const sockets = new Set<Socket>();
    const server = createServer((near) => {
        const far = connect(port, "127.0.0.1");
        for (const [one, other] of [
            [near, far],
            [far, near],
        ] as const) {
            sockets.add(one);
            one.on("error", () => {});
            one.on("close", () => {
                sockets.delete(one);
                other.destroy();
            });
            one.pipe(other);
        }
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return {
        port: (server.address() as { port: number }).port,
        close: () =>
            new Promise((resolve) => {
                for (const socket of sockets) socket.destroy();
                server.close(() => resolve());
            }),
    };
}
