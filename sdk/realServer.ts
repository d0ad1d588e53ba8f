import type * as pulumi from "@pulumi/pulumi";
import { type Connection, withSecrets } from "./connection";
import { type ServiceReference, type ServiceReferenceArgs, serviceReference } from "./reference";
import { LvsResource } from "./resource";
import type { DrainArgs, OwnTunnelArgs, RuleArgs } from "./rule";
import type { VirtualService } from "./virtualService";

/** The inputs of a RealServer: the rule on the director, and the real server's own side. */
export interface RealServerArgs extends RuleArgs {
    /** The virtual service that it belongs to: a VirtualService, or its plain data. */
    service: VirtualService | pulumi.Input<ServiceReferenceArgs>;
    /** Address of the real server (RIP), as the director reaches it. A change replaces the resource. */
    address: pulumi.Input<string>;
    /**
     * How to reach the real server, to set up its own side: the name of an entry of the stack config `lvs:hosts`
     * (recommended), or an SSH connection. Default: its own side is left alone.
     */
    connection?: pulumi.Input<Connection>;
    /** How tun wraps packets. Default: ipip. */
    tunnel?: pulumi.Input<OwnTunnelArgs>;
    /**
     * How the real server takes packets for the VIP, by dr and tun: it has the address ("address"), or its packet filter
     * gives them to its own address ("redirect"), for hosts where no VIP may be added. Default "address".
     */
    accept?: pulumi.Input<"address" | "redirect">;
    /**
     * Device of the real server that takes the VIP: lo, a dummy device (`dummy0`, `lvs-vip`: made if it is not there), a
     * tunnel or any other. Default: lo for dr, a tunnel device of ours for tun.
     */
    device?: pulumi.Input<string>;
    /**
     * By nat: the router that the real server's default route goes through, normally the director's address on its
     * network. The route goes before those that are there, and what was found is put back. Default: its routes are left
     * alone, and checked.
     */
    gateway?: pulumi.Input<string>;
    /** Further kernel settings of the real server, by name. Default: none. */
    sysctls?: pulumi.Input<Record<string, pulumi.Input<string | number>>>;
    /** How it is removed. Default: after 30 seconds at most. */
    drain?: pulumi.Input<DrainArgs>;
    /** Set up its own side again at boot; needs systemd. Default true. */
    persistAcrossReboot?: pulumi.Input<boolean>;
    /** Take over a rule that exists already; destroy then removes it. Default false. */
    adopt?: pulumi.Input<boolean>;
}

/** The names of a RealServer's inputs. */
export const realServerFields = [
    "service",
    "address",
    "forwarding",
    "port",
    "weight",
    "keepWeight",
    "upperThreshold",
    "lowerThreshold",
    "tunnel",
    "connection",
    "accept",
    "device",
    "gateway",
    "sysctls",
    "drain",
    "persistAcrossReboot",
    "adopt",
] as const satisfies readonly (keyof RealServerArgs)[];

/**
 * A real server of one virtual service: the rule on the director, and the real server's own side over its own
 * connection. It is made ready before the director sends it anything, and taken down after the director has stopped.
 */
export class RealServer extends LvsResource {
    /** The virtual service that it belongs to. */
    declare public readonly service: pulumi.Output<ServiceReference>;
    /** Address of the real server (RIP). */
    declare public readonly address: pulumi.Output<string>;
    /** Forwarding method. */
    declare public readonly forwarding: pulumi.Output<"nat" | "dr" | "tun" | undefined>;
    /** Port of the real server, where it is not the service's. */
    declare public readonly port: pulumi.Output<number | undefined>;
    /** Share of new connections. */
    declare public readonly weight: pulumi.Output<number | undefined>;
    /** Whether the weight is left to a health checker. */
    declare public readonly keepWeight: pulumi.Output<boolean | undefined>;
    /** No new connections from this number on. */
    declare public readonly upperThreshold: pulumi.Output<number | undefined>;
    /** New connections again below this number. */
    declare public readonly lowerThreshold: pulumi.Output<number | undefined>;
    /** How tun wraps packets. */
    declare public readonly tunnel: pulumi.Output<pulumi.Unwrap<OwnTunnelArgs> | undefined>;
    /** How to reach the real server. */
    declare public readonly connection: pulumi.Output<pulumi.Unwrap<Connection> | undefined>;
    /** How the real server takes packets for the VIP. */
    declare public readonly accept: pulumi.Output<"address" | "redirect" | undefined>;
    /** Device of the real server that takes the VIP. */
    declare public readonly device: pulumi.Output<string | undefined>;
    /** By nat: the router that the real server's default route goes through. */
    declare public readonly gateway: pulumi.Output<string | undefined>;
    /** Further kernel settings of the real server. */
    declare public readonly sysctls: pulumi.Output<Record<string, string> | undefined>;
    /** How it is removed. */
    declare public readonly drain: pulumi.Output<pulumi.Unwrap<DrainArgs> | undefined>;
    /** Whether its own side is set up again at boot. */
    declare public readonly persistAcrossReboot: pulumi.Output<boolean | undefined>;
    /** Whether a rule that existed already is taken over. */
    declare public readonly adopt: pulumi.Output<boolean | undefined>;
    /** What is known of the real server's kernel; absent without a connection. */
    declare public readonly kernel: pulumi.Output<{ release: string } | undefined>;

    /**
     * @param name the resource's name in the program, unique within its parent
     * @param args the real server
     * @param opts Pulumi's options for resources
     */
    constructor(name: string, args: RealServerArgs, opts?: pulumi.CustomResourceOptions) {
        const given = {
            ...args,
            service: serviceReference(args.service),
            ...(args.connection === undefined ? {} : { connection: withSecrets(args.connection) }),
        };
        super("RealServer", name, [...realServerFields, "kernel"], given, opts);
    }
}
