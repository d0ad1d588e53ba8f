import { hostIn } from "./environment.mjs";

/**
 * The system's ssh client as the lab calls it: no configuration of the user's, no shared connections, host keys
 * verified against the lab's own.
 */

/**
 * @param {import("./environment.mjs").Environment} environment @param {string} name
 * @param {string[]} command empty for a login
 * @param {{ terminal?: boolean }} [options]
 * @returns {string[]} arguments for ssh
 */
export function sshArguments(environment, name, command, { terminal = false } = {}) {
    const { host, port, user, privateKeyPath } = hostIn(environment, name);
    const options = {
        UserKnownHostsFile: environment.knownHosts,
        GlobalKnownHostsFile: "/dev/null",
        StrictHostKeyChecking: "yes",
        IdentitiesOnly: "yes",
        IdentityAgent: "none",
        BatchMode: "yes",
        LogLevel: "ERROR",
        // The default, a post-quantum exchange, costs an emulated processor twice the time.
        KexAlgorithms: "curve25519-sha256",
    };
    return [
        ...["-F", "none", "-i", privateKeyPath, "-p", String(port), terminal ? "-t" : "-T"],
        ...Object.entries(options).flatMap(([key, value]) => ["-o", `${key}=${value}`]),
        `${user}@${host}`,
        ...(command.length > 0 ? [shellLine(command)] : []),
    ];
}

/** One line for the remote shell that reaches the program as exactly these arguments. @param {string[]} argv */
export function shellLine(argv) {
    return argv.map((argument) => `'${argument.replaceAll("'", "'\\''")}'`).join(" ");
}
