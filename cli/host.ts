/** Hosts on the command line. */
import { type Host, hostAt } from "../provider/reconcile/host";
import { type Connection, connectionSchema } from "../provider/ssh/connection";

export class Usage extends Error {}

export const connectionOptions = {
    identity: { type: "string", short: "i" },
    "known-hosts": { type: "string" },
    sudo: { type: "boolean" },
} as const;

type Values = Record<string, string | boolean | undefined>;

/** The queue of a host given as `[USER@]HOST[:PORT]`. */
export function hostOf(argument: string | undefined, values: Values): Host {
    return hostAt(connectionOf(argument, values), {
        commandTimeout: 60,
        say: (line) => process.stderr.write(`${line}\n`),
    });
}

export function connectionOf(argument: string | undefined, values: Values): Connection {
    const match = /^(?:([^@]+)@)?(\[[^\]]+\]|[^:@]+)(?::(\d+))?$/.exec(argument ?? "");
    if (match === null) throw new Usage(`expected [USER@]HOST[:PORT], got ${JSON.stringify(argument ?? "")}`);
    const [, user, host = "", port] = match;
    const parsed = connectionSchema.safeParse({
        host: host.replace(/^\[|\]$/g, ""),
        dialErrorLimit: 1,
        ...(user === undefined ? {} : { user }),
        ...(port === undefined ? {} : { port: Number(port) }),
        ...(values["identity"] === undefined ? {} : { privateKeyPath: values["identity"] }),
        ...(values["known-hosts"] === undefined ? {} : { knownHosts: values["known-hosts"] }),
        ...(values["sudo"] === true ? { sudo: true } : {}),
    });
    if (!parsed.success)
        throw new Usage(parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("\n"));
    return parsed.data;
}
