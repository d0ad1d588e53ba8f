/** Hosts on the command line: by address, by their names in the stack's `lvs:hosts`, or all that stand there. */
import { resolveConnection } from "../provider/dynamic/config";
import type { Group } from "../provider/kinds";
import { type Host, hostAt } from "../provider/reconcile/host";
import type { HostState } from "../provider/reconcile/state";
import { type Connection, connectionSchema } from "../provider/ssh/connection";
import { hostsOfStack, projectAtHand } from "./stack";

export class Usage extends Error {}

export const connectionOptions = {
    identity: { type: "string", short: "i" },
    "known-hosts": { type: "string" },
    sudo: { type: "boolean" },
    stack: { type: "string", short: "s" },
} as const;

export type Values = Readonly<Record<string, string | boolean | string[] | undefined>>;

/** A host and what the user calls it. */
export interface NamedHost {
    name: string;
    host: Host;
}

/**
 * The hosts of these arguments, each once: a name in `lvs:hosts` of the stack that is selected in this directory (or of
 * `--stack`), with its own credentials, else `[USER@]HOST[:PORT]`. Without arguments every connection of `lvs:hosts`.
 */
export async function hostsOf(targets: string[], values: Values): Promise<NamedHost[]> {
    const hosts =
        targets.length === 0 ? await everyHost(values) : await Promise.all(targets.map((each) => hostOf(each, values)));
    return hosts.filter(({ host }, index) => hosts.findIndex((each) => each.host === host) === index);
}

/** The host of one argument, as in {@link hostsOf}. */
export async function hostOf(target: string | undefined, values: Values): Promise<NamedHost> {
    if (target === undefined) throw new Usage("name a host: [USER@]HOST[:PORT], or its name in lvs:hosts");
    const mayBeName = !/[@[]/.test(target) && (values["stack"] !== undefined || projectAtHand());
    const known = mayBeName ? await stackHosts(values, "quietly") : {};
    if (Object.hasOwn(known, target)) return { name: target, host: queueOf(connectionNamed(known, target)) };
    const names = Object.keys(known);
    if (names.length > 0 && /^[\w-]+$/.test(target))
        tell(`note: lvs:hosts has no entry ${target}, only ${names.join(", ")}: it is taken for an address`);
    return { name: target, host: queueOf(connectionOf(target, values)) };
}

async function everyHost(values: Values): Promise<NamedHost[]> {
    const known = await stackHosts(values, "or fail");
    if (Object.keys(known).length === 0) throw new Usage("lvs:hosts of this stack is empty: name the hosts");
    return Object.keys(known).map((name) => ({ name, host: queueOf(connectionNamed(known, name)) }));
}

const asked = new Map<string, Promise<Record<string, unknown>>>();

/** `lvs:hosts`, asked for once. A host may be named by its address where the stack cannot be had; then that is only told. */
async function stackHosts(values: Values, manner: "quietly" | "or fail"): Promise<Record<string, unknown>> {
    const stack = values["stack"] as string | undefined;
    const answer = asked.get(stack ?? "") ?? hostsOfStack(stack);
    asked.set(stack ?? "", answer);
    try {
        return await answer;
    } catch (error) {
        const { message } = error as Error;
        if (manner === "or fail")
            throw new Usage(`no host is named, and the stack's lvs:hosts cannot be had: ${message}`);
        if (stack !== undefined) throw error;
        tell(`note: lvs:hosts of the stack is not looked at: ${message}`);
        return {};
    }
}

/** A person waits: a host that does not answer is tried once, unless its connection says otherwise. */
function connectionNamed(hosts: Record<string, unknown>, name: string): Connection {
    const given = hosts[name];
    const patient = given !== null && typeof given === "object" ? { dialErrorLimit: 1, ...given } : given;
    return resolveConnection({ hosts: { [name]: patient }, onUnreachable: "fail", commandTimeout: 60 }, name, "");
}

/** A connection by address, with the options of the command line. */
export function connectionOf(target: string, values: Values): Connection {
    const match = /^(?:([^@]+)@)?(\[[^\]]+\]|[^:@]+)(?::(\d+))?$/.exec(target);
    if (match === null) throw new Usage(`expected [USER@]HOST[:PORT], got ${JSON.stringify(target)}`);
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

/** A host as it was found, or why it could not be looked at. */
export type Look = NamedHost & ({ state: HostState; error?: undefined } | { state?: undefined; error: Error });

/** Hosts that are looked at side by side. */
const AT_ONCE = 16;

/** Looks at hosts; the failure of one is its own. `groups`: what is needed of a probe. */
export async function lookAt(hosts: NamedHost[], groups: readonly Group[]): Promise<Look[]> {
    const looks: Look[] = [];
    for (let from = 0; from < hosts.length; from += AT_ONCE) {
        const some = hosts.slice(from, from + AT_ONCE).map(async (each): Promise<Look> => {
            try {
                return { ...each, state: await each.host.read([], groups) };
            } catch (error) {
                return { ...each, error: error as Error };
            }
        });
        looks.push(...(await Promise.all(some)));
    }
    return looks;
}

function queueOf(connection: Connection): Host {
    return hostAt(connection, { commandTimeout: 60, say: tell });
}

/** To the person, beside what the command prints. */
export function tell(line: string): void {
    process.stderr.write(`${line}\n`);
}
