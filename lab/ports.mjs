import { createServer } from "node:net";

/**
 * Free ports on loopback, all different. Another program can take one before the emulator does; then the boot is
 * tried again with others.
 * @param {number} count @returns {Promise<number[]>}
 */
export async function freePorts(count) {
    const servers = await Promise.all(Array.from({ length: count }, listen));
    const ports = servers.map((server) => /** @type {import("node:net").AddressInfo} */ (server.address()).port);
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    return ports;
}

/** @returns {Promise<import("node:net").Server>} */
function listen() {
    return new Promise((resolve, reject) => {
        const server = createServer().on("error", reject);
        server.listen(0, "127.0.0.1", () => resolve(server));
    });
}
