import type * as pulumi from "@pulumi/pulumi";
import type { MarkArgs } from "./identity";
import type { DrainArgs, InlineRealServerArgs } from "./rule";

/** The schedulers of the kernel. */
export type Scheduler =
    | "rr"
    | "wrr"
    | "lc"
    | "wlc"
    | "lblc"
    | "lblcr"
    | "dh"
    | "sh"
    | "sed"
    | "nq"
    | "fo"
    | "ovf"
    | "mh"
    | "twos";

/** Flags of a scheduler, as `ipvsadm --sched-flags` takes them. */
export type SchedulerFlag = "sh-fallback" | "sh-port" | "mh-fallback" | "mh-port" | "flag-1" | "flag-2" | "flag-3";

/** Keeps a client at one real server. */
export interface PersistenceArgs {
    /** Seconds that a client stays with its real server, 1 to 2678400 (31 days). Default 360. */
    timeout?: pulumi.Input<number>;
    /** How much of the client's address counts: a prefix length, or dotted for IPv4. Default: all of it. */
    netmask?: pulumi.Input<string | number>;
    /** Persistence engine: sip (by Call-ID). Default: none, the client's address counts. */
    engine?: pulumi.Input<"sip">;
}

/** Where the VIP goes on the director. */
export interface VipArgs {
    /** Interface of the director that takes the VIP. Default: the director's `interface`. */
    interface?: pulumi.Input<string>;
    /** Somebody else (keepalived, a router) brings the VIP to the director. Default false. */
    external?: pulumi.Input<boolean>;
}

/** What a virtual service is besides its identity. All of an inline service. */
export interface ServiceArgs {
    /** What is given the firewall mark by rules of ours. Default: none, somebody else marks. Only with a mark. */
    marks?: pulumi.Input<pulumi.Input<MarkArgs>[]>;
    /** Scheduler: how real servers are chosen. Default wlc. */
    scheduler?: pulumi.Input<Scheduler>;
    /** Flags of the scheduler. Default: none. */
    schedulerFlags?: pulumi.Input<pulumi.Input<SchedulerFlag>[]>;
    /** One-packet scheduling (udp or a mark): every packet is scheduled by itself. Default false. */
    onePacket?: pulumi.Input<boolean>;
    /** Keeps a client at one real server. Default: no persistence. */
    persistence?: pulumi.Input<PersistenceArgs>;
    /** Where the VIP goes on the director. Default: on the director's `interface`. */
    vip?: pulumi.Input<VipArgs>;
    /**
     * Real servers by address: `192.0.2.21`, `192.0.2.21:80`, `[2001:db8::1]:80`. Only these are managed; others on the
     * service are left alone. Default: none.
     */
    realServers?: pulumi.Input<Record<string, pulumi.Input<InlineRealServerArgs>>>;
    /** How inline real servers are removed. Default: after 30 seconds at most. */
    drain?: pulumi.Input<DrainArgs>;
    /** Take over a service that exists already; destroy then removes it. Default false. */
    adopt?: pulumi.Input<boolean>;
    /** Remove the service even if real servers are on it that nobody declared. Default false. */
    deleteForeign?: pulumi.Input<boolean>;
}

/** An inline virtual service: its identity is the key of the map. */
export type InlineServiceArgs = ServiceArgs;
