import type * as pulumi from "@pulumi/pulumi";

/** How forwarding method tun wraps packets. */
export interface TunnelArgs {
    /** Encapsulation: ipip, gue (over UDP) or gre. Default ipip. */
    type?: pulumi.Input<"ipip" | "gue" | "gre">;
    /** UDP port of gue, 1 to 65535; required there, illegal otherwise. */
    port?: pulumi.Input<number>;
    /** Checksum of the outer header: gue takes none, csum, remcsum; gre none, csum; ipip none. Default none. */
    checksum?: pulumi.Input<"none" | "csum" | "remcsum">;
}

/** The tunnel of a real server whose own side is set up too. */
export interface OwnTunnelArgs extends TunnelArgs {
    /**
     * Largest TCP segment, in bytes, that clients are told to send, 88 to 65495: a rule on the real server lowers the
     * MSS option of its SYN/ACK, so that what clients send still fits once it is wrapped, also where ICMP is dropped.
     * "auto": what fits the MTU of the real server's interface; "none": no rule. Default "auto".
     */
    mss?: pulumi.Input<number | "auto" | "none">;
}

/** How real servers are removed. */
export interface DrainArgs {
    /**
     * Seconds to wait, at weight 0, for active connections to end before the real server is removed, 0 to 3600. 0: do
     * not wait. Where there are no connections nothing is waited for. Default 30.
     */
    timeout?: pulumi.Input<number>;
}

/** The rule of a real server on the director. All of an inline real server. */
export interface RuleArgs {
    /** Forwarding method: nat, dr (direct routing) or tun. Default dr. */
    forwarding?: pulumi.Input<"nat" | "dr" | "tun">;
    /** Port of the real server, 0 to 65535. Default: the service's; 0 under a firewall mark. Only nat may change it. */
    port?: pulumi.Input<number>;
    /** Share of new connections, 0 to 2147483647; 0: none. Default 1. */
    weight?: pulumi.Input<number>;
    /**
     * Leave the weight to a health checker or feedback agent on the director: `weight` is only what it starts with.
     * Default false.
     */
    keepWeight?: pulumi.Input<boolean>;
    /** No new connections from this number of connections on; 0: no limit. Default 0. */
    upperThreshold?: pulumi.Input<number>;
    /** New connections again below this number of connections; 0: three quarters of `upperThreshold`. Default 0. */
    lowerThreshold?: pulumi.Input<number>;
    /** How tun wraps packets. Default: ipip. */
    tunnel?: pulumi.Input<TunnelArgs>;
}

/** An inline real server: its address, and its port if it has one of its own, are the key of the map. */
export type InlineRealServerArgs = RuleArgs;
