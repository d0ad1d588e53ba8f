import * as pulumi from "@pulumi/pulumi";

/** The fields of one SSH hop: the host itself, or the bastion before it. */
export interface ProxyConnectionArgs {
    /** Name or address of the host. */
    host: pulumi.Input<string>;
    /** TCP port of its sshd. Default 22. */
    port?: pulumi.Input<number>;
    /** User to log in as. Default root. */
    user?: pulumi.Input<string>;
    /** Password, offered as `password` and as `keyboard-interactive` authentication. Kept as a secret. */
    password?: pulumi.Input<string>;
    /** Text of the private key, PEM or OpenSSH format. Kept as a secret. */
    privateKey?: pulumi.Input<string>;
    /** File with the private key, read on the machine that runs Pulumi whenever it is needed; its text is never stored. */
    privateKeyPath?: pulumi.Input<string>;
    /** Passphrase of the private key. Kept as a secret. */
    privateKeyPassword?: pulumi.Input<string>;
    /** Socket of an SSH agent. Default: the environment variable SSH_AUTH_SOCK. */
    agentSocketPath?: pulumi.Input<string>;
    /** The host's public key, one line as in authorized_keys: `ssh-ed25519 AAAA…`. Default: known_hosts decides. */
    hostKey?: pulumi.Input<string>;
    /** known_hosts file or files. Default: `~/.ssh/known_hosts` and `/etc/ssh/ssh_known_hosts`. */
    knownHosts?: pulumi.Input<string | pulumi.Input<string>[]>;
    /** Accept any host key. Whoever answers at that address is then given the credentials. Default false. */
    insecureIgnoreHostKey?: pulumi.Input<boolean>;
    /** Number of failed attempts to connect after which to give up; -1: never. Default 10. */
    dialErrorLimit?: pulumi.Input<number>;
    /** Seconds for one attempt to connect, handshake and login included. Default 15. */
    perDialTimeout?: pulumi.Input<number>;
}

/** How to reach a host by SSH. Takes what `@pulumi/command` calls `types.input.remote.ConnectionArgs`. */
export interface ConnectionArgs extends ProxyConnectionArgs {
    /** Run scripts by `sudo -n sh`, as root. The user needs sudo without a password. Default false. */
    sudo?: pulumi.Input<boolean>;
    /** Bastion to go through: one level, the same fields. Default: none. */
    proxy?: pulumi.Input<ProxyConnectionArgs>;
}

/** A connection: its name in the stack's config `lvs:hosts` (recommended), or the connection itself. */
export type Connection = string | ConnectionArgs;

const credentials = ["password", "privateKey", "privateKeyPassword"] as const;

/** The connection with its credentials marked as secrets, each by itself. A name is left as it is. */
export function withSecrets(connection: pulumi.Input<Connection>): pulumi.Input<Connection> {
    return onMap(connection, (given) => {
        const marked = secretCredentials(given);
        return given["proxy"] === undefined ? marked : { ...marked, proxy: onMap(given["proxy"], secretCredentials) };
    }) as pulumi.Input<Connection>;
}

type Fields = Record<string, unknown>;

function secretCredentials(hop: Fields): Fields {
    const marked = credentials
        .filter((name) => hop[name] !== undefined && hop[name] !== null)
        .map((name) => [name, pulumi.secret(hop[name])]);
    return { ...hop, ...Object.fromEntries(marked) };
}

/** Changes a map, at once where it is plain; anything else stays. */
function onMap(value: unknown, change: (map: Fields) => Fields): unknown {
    if (isLater(value)) return later(value).apply((known) => onMap(known, change));
    return isMap(value) ? change(value) : value;
}

/**
 * The name of a director that is not given one: its connection's name, or the host with its port unless that is 22.
 * It stands in IDs and messages, and is not a secret even where the connection is.
 */
export function nameOfConnection(connection: pulumi.Input<Connection>, fallback: string): pulumi.Input<string> {
    if (isLater(connection)) {
        return pulumi.unsecret(later(connection).apply((known) => nameOfConnection(known as Connection, fallback)));
    }
    if (!isMap(connection)) return readable(connection, undefined, fallback);
    const { host, port } = connection;
    if (!isLater(host) && !isLater(port)) return readable(host, port, fallback);
    return pulumi.unsecret(pulumi.all([host, port]).apply((known) => readable(known[0], known[1], fallback)));
}

/** What is no name at all is for the check of `connection` to refuse. */
function readable(host: unknown, port: unknown, fallback: string): string {
    const shown = typeof host === "string" && host !== "" ? host : fallback;
    const name =
        typeof port !== "number" || port === 22
            ? shown
            : shown.includes(":")
              ? `[${shown}]:${port}`
              : `${shown}:${port}`;
    return name.replace(/[\s/#\u0000-\u001f\u007f-\u009f]+/g, "-");
}

function isLater(value: unknown): boolean {
    return pulumi.Output.isInstance(value) || value instanceof Promise;
}

/** As an Output of what is not known to the compiler. */
function later(value: unknown): { apply<T>(change: (known: unknown) => pulumi.Input<T>): pulumi.Output<T> } {
    return pulumi.output(value) as unknown as ReturnType<typeof later>;
}

function isMap(value: unknown): value is Fields {
    return value !== null && typeof value === "object" && !Array.isArray(value) && !isLater(value);
}
