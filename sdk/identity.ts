import type * as pulumi from "@pulumi/pulumi";

/** Protocol of a virtual service. */
export type Protocol = "tcp" | "udp" | "sctp";

/** A service by protocol, address and port. */
export interface ServiceAddress {
    /** tcp, udp or sctp. A change replaces the service. */
    protocol: pulumi.Input<Protocol>;
    /** Virtual IP address (VIP), IPv4 or IPv6. A change replaces the service. */
    address: pulumi.Input<string>;
    /** Port, 0 to 65535. 0: every port, which needs persistence. A change replaces the service. */
    port: pulumi.Input<number>;
    fwmark?: undefined;
    family?: undefined;
}

/** A service by firewall mark. */
export interface FirewallMark {
    /** Firewall mark, 1 to 4294967295. A change replaces the service. */
    fwmark: pulumi.Input<number>;
    /** Family of the marked packets. Default ipv4. A change replaces the service. */
    family?: pulumi.Input<"ipv4" | "ipv6">;
    protocol?: undefined;
    address?: undefined;
    port?: undefined;
}

/** Traffic that is given a firewall mark. */
export interface MarkArgs {
    /** tcp, udp or sctp. */
    protocol: pulumi.Input<Protocol>;
    /** Destination address (VIP) that is marked. */
    address: pulumi.Input<string>;
    /** Destination port, 0 to 65535 (0: every port), or a range such as `10000-20000`. */
    port: pulumi.Input<number | string>;
}
