/** A port of loopback that takes connections and counts them: where no connection may be opened, it stays at 0. */
import { type AddressInfo, createServer, type Socket } from "node:net";

export interface Listener {
    port: number;
    /** Connections so far. */
    connections(): number;
    close(): Promise<void>;
}

export async function listen(): Promise<Listener> {
    const sockets = new Set<Socket>();
    let connections = 0;
    const server = createServer((socket) => {
        connections++;
        sockets.add(socket);
        socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return {
        port: (server.address() as AddressInfo).port,
        connections: () => connections,
        close: () =>
            new Promise((resolve) => {
                for (const socket of sockets) socket.destroy();
                server.close(() => resolve());
            }),
    };
}

/** A port of loopback at which nobody listens. */
export async function closedPort(): Promise<number> {
    const listener = await listen();
    await listener.close();
    return listener.port;
}
