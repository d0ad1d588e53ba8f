import type { Socket } from "node:net";

/** Figures of this process, for tests and for those who ask what an operation costs. */

const open = new Set<Socket>();
const totals = { handshakes: 0, scripts: 0, bytesSent: 0, bytesReceived: 0 };

/** Counts a TCP connection's bytes, now and after its end. */
export function countTraffic(socket: Socket): void {
    open.add(socket);
    socket.once("close", () => {
        if (open.delete(socket)) {
            totals.bytesSent += socket.bytesWritten;
            totals.bytesReceived += socket.bytesRead;
        }
    });
}

/** Bytes received on a TCP connection so far. */
export function traffic(socket: Socket): number {
    return socket.bytesRead;
}

export function countHandshake(): void {
    totals.handshakes++;
}

export function countScript(): void {
    totals.scripts++;
}

/**
 * Since the process began: SSH handshakes that ended with a login (a bastion's count too), scripts sent, and bytes on
 * the wire in either direction (a bastion's connection carries, and counts, those of the hosts behind it).
 */
export const counters = {
    get handshakes(): number {
        return totals.handshakes;
    },
    get scripts(): number {
        return totals.scripts;
    },
    get bytesSent(): number {
        return [...open].reduce((sum, socket) => sum + (socket.bytesWritten ?? 0), totals.bytesSent);
    },
    get bytesReceived(): number {
        return [...open].reduce((sum, socket) => sum + (socket.bytesRead ?? 0), totals.bytesReceived);
    },
};
