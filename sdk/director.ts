import type * as pulumi from "@pulumi/pulumi";
import { type Connection, nameOfConnection, withSecrets } from "./connection";
import { keepDirectorReference } from "./reference";
import { LvsResource } from "./resource";
import type { InlineServiceArgs } from "./service";

/** Networks whose packets get the director's address. */
export interface MasqueradeArgs {
    /** Network whose packets get the director's address, such as `10.0.0.0/24`. */
    source: pulumi.Input<string>;
    /** Only packets to this network. Default: to anywhere. */
    destination?: pulumi.Input<string>;
    /** The address that they get (SNAT). Default: the one of the interface that they leave by. */
    to?: pulumi.Input<string>;
}

/** Seconds until idle connections are forgotten, 1 to 2678400 (31 days). Default: left alone. */
export interface TimeoutsArgs {
    /** Seconds for TCP connections. Default: left alone. */
    tcp?: pulumi.Input<number>;
    /** Seconds for TCP connections after a FIN. Default: left alone. */
    tcpfin?: pulumi.Input<number>;
    /** Seconds for UDP. Default: left alone. */
    udp?: pulumi.Input<number>;
}

/** A daemon that sends or takes connections of other directors. */
export interface SyncDaemonArgs {
    /** Interface that sync messages go through. */
    interface: pulumi.Input<string>;
    /** Only messages with the same id are taken, 0 to 255. Default 0. */
    syncid?: pulumi.Input<number>;
    /** Bytes of a sync message, 1 to 65507. Default: the kernel's, by the interface's MTU. */
    maxlen?: pulumi.Input<number>;
    /** Multicast group. Default 224.0.0.81. */
    group?: pulumi.Input<string>;
    /** UDP port, 1 to 65535. Default 8848. */
    port?: pulumi.Input<number>;
    /** Multicast TTL, 1 to 255. Default 1. */
    ttl?: pulumi.Input<number>;
}

/** Connection synchronisation with other directors. */
export interface SyncArgs {
    /** Sends this director's connections. Default: none. */
    master?: pulumi.Input<SyncDaemonArgs>;
    /** Takes other directors' connections. Default: none. */
    backup?: pulumi.Input<SyncDaemonArgs>;
}

/** The FTP helper (ip_vs_ftp). */
export interface FtpArgs {
    /** Control ports, 1 to 8 of them. Default 21. */
    ports?: pulumi.Input<pulumi.Input<number>[]>;
}

/** The inputs of a Director. */
export interface DirectorArgs {
    /**
     * How to reach the host: the name of an entry of the stack config `lvs:hosts` (recommended: credentials stay out of
     * the state), or an SSH connection.
     */
    connection: pulumi.Input<Connection>;
    /**
     * Name in IDs and messages, without spaces, / and #. Default: the connection's name, else `host[:port]`. It is never
     * a secret.
     */
    name?: pulumi.Input<string>;
    /** Interface that takes VIPs. Needed only where one goes on this director. */
    interface?: pulumi.Input<string>;
    /** IPv4 forwarding of the host. Default: on where a real server is reached by nat, else left alone. */
    ipForward?: pulumi.Input<boolean>;
    /**
     * IPv6 forwarding of the host. Interfaces that take router advertisements go on doing so (accept_ra 1 becomes 2).
     * Default: on where a real server is reached by nat over IPv6, else left alone.
     */
    ipv6Forward?: pulumi.Input<boolean>;
    /** Kernel settings by name, such as `net.ipv4.vs.expire_nodest_conn`. Default: none. */
    sysctls?: pulumi.Input<Record<string, pulumi.Input<string | number>>>;
    /** Seconds until idle connections are forgotten. Default: left alone. */
    timeouts?: pulumi.Input<TimeoutsArgs>;
    /** The connection table has 2^N places, 8 to 27; taken when ip_vs is loaded. Default: the kernel's. */
    connTabBits?: pulumi.Input<number>;
    /** Networks to masquerade. Default: none. */
    masquerade?: pulumi.Input<pulumi.Input<MasqueradeArgs>[]>;
    /** Connection synchronisation with other directors: a master daemon, a backup daemon, or both. Default: none. */
    sync?: pulumi.Input<SyncArgs>;
    /** FTP helper (ip_vs_ftp), for FTP by nat. Default: not loaded. */
    ftp?: pulumi.Input<FtpArgs>;
    /** Virtual services by key: `tcp/192.0.2.100:80`, `udp/[2001:db8::1]:53`, `fwm/1`, `fwm6/1`. Default: none. */
    virtualServices?: pulumi.Input<Record<string, pulumi.Input<InlineServiceArgs>>>;
    /** Set everything up again at boot; needs systemd. Default true. */
    persistAcrossReboot?: pulumi.Input<boolean>;
    /** Take over services and rules that exist already; destroy then removes them. Default false. */
    adopt?: pulumi.Input<boolean>;
}

/** What is known of a director's kernel. */
export type KernelFacts = Record<string, unknown>;

/** The names of a Director's inputs. */
export const directorFields = [
    "connection",
    "name",
    "interface",
    "ipForward",
    "ipv6Forward",
    "sysctls",
    "timeouts",
    "connTabBits",
    "masquerade",
    "sync",
    "ftp",
    "virtualServices",
    "persistAcrossReboot",
    "adopt",
] as const satisfies readonly (keyof DirectorArgs)[];

/**
 * A director: the host that takes packets for virtual services and passes them to real servers. Loads what the kernel
 * needs, sets what is declared, and makes all of it survive a reboot.
 */
export class Director extends LvsResource {
    /** How to reach the host. */
    declare public readonly connection: pulumi.Output<pulumi.Unwrap<Connection>>;
    /** Name in IDs and messages. */
    declare public readonly name: pulumi.Output<string>;
    /** Interface that takes VIPs. */
    declare public readonly interface: pulumi.Output<string | undefined>;
    /** IPv4 forwarding of the host. */
    declare public readonly ipForward: pulumi.Output<boolean | undefined>;
    /** IPv6 forwarding of the host. */
    declare public readonly ipv6Forward: pulumi.Output<boolean | undefined>;
    /** Kernel settings by name. */
    declare public readonly sysctls: pulumi.Output<Record<string, string> | undefined>;
    /** Seconds until idle connections are forgotten. */
    declare public readonly timeouts: pulumi.Output<pulumi.Unwrap<TimeoutsArgs> | undefined>;
    /** The connection table has 2^N places. */
    declare public readonly connTabBits: pulumi.Output<number | undefined>;
    /** Networks to masquerade. */
    declare public readonly masquerade: pulumi.Output<pulumi.Unwrap<MasqueradeArgs>[] | undefined>;
    /** Connection synchronisation with other directors. */
    declare public readonly sync: pulumi.Output<pulumi.Unwrap<SyncArgs> | undefined>;
    /** FTP helper. */
    declare public readonly ftp: pulumi.Output<pulumi.Unwrap<FtpArgs> | undefined>;
    /** Inline virtual services by key. */
    declare public readonly virtualServices: pulumi.Output<
        Record<string, pulumi.Unwrap<InlineServiceArgs>> | undefined
    >;
    /** Whether everything is set up again at boot. */
    declare public readonly persistAcrossReboot: pulumi.Output<boolean | undefined>;
    /** Whether services and rules that existed already are taken over. */
    declare public readonly adopt: pulumi.Output<boolean | undefined>;
    /** What is known of the host's kernel. */
    declare public readonly kernel: pulumi.Output<KernelFacts>;

    /**
     * @param name the resource's name in the program, unique within its parent
     * @param args the director
     * @param opts Pulumi's options for resources
     */
    constructor(name: string, args: DirectorArgs, opts?: pulumi.CustomResourceOptions) {
        const given = {
            ...args,
            connection: withSecrets(args.connection),
            name: args.name ?? nameOfConnection(args.connection, name),
        };
        super("Director", name, [...directorFields, "kernel"], given, opts);
        keepDirectorReference(this, given);
    }
}
