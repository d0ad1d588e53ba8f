import type * as pulumi from "@pulumi/pulumi";
import type { Director } from "./director";
import type { FirewallMark, MarkArgs, Protocol, ServiceAddress } from "./identity";
import {
    type DirectorReference,
    type DirectorReferenceArgs,
    directorReference,
    keepServiceReference,
} from "./reference";
import { LvsResource } from "./resource";
import type { DrainArgs, InlineRealServerArgs } from "./rule";
import type { PersistenceArgs, Scheduler, SchedulerFlag, ServiceArgs, VipArgs } from "./service";

/** The inputs of a VirtualService: where it runs, what identifies it (an address or a firewall mark), what it does. */
export type VirtualServiceArgs = ServiceArgs &
    (ServiceAddress | FirewallMark) & {
        /** The director that it runs on: a Director, or its plain data. */
        director: Director | pulumi.Input<DirectorReferenceArgs>;
    };

/** The names of a VirtualService's inputs. */
export const virtualServiceFields = [
    "director",
    "protocol",
    "address",
    "port",
    "fwmark",
    "family",
    "marks",
    "scheduler",
    "schedulerFlags",
    "onePacket",
    "persistence",
    "vip",
    "realServers",
    "drain",
    "adopt",
    "deleteForeign",
] as const satisfies readonly (keyof VirtualServiceArgs)[];

/** A virtual service on one director, with its VIP, its marks, and the real servers that are declared inline. */
export class VirtualService extends LvsResource {
    /** The director that it runs on. */
    declare public readonly director: pulumi.Output<DirectorReference>;
    /** Protocol; absent for a firewall mark. */
    declare public readonly protocol: pulumi.Output<Protocol | undefined>;
    /** Virtual IP address (VIP); absent for a firewall mark. */
    declare public readonly address: pulumi.Output<string | undefined>;
    /** Port; absent for a firewall mark. */
    declare public readonly port: pulumi.Output<number | undefined>;
    /** Firewall mark. */
    declare public readonly fwmark: pulumi.Output<number | undefined>;
    /** Family of the marked packets. */
    declare public readonly family: pulumi.Output<"ipv4" | "ipv6" | undefined>;
    /** What is given the firewall mark. */
    declare public readonly marks: pulumi.Output<pulumi.Unwrap<MarkArgs>[] | undefined>;
    /** Scheduler. */
    declare public readonly scheduler: pulumi.Output<Scheduler | undefined>;
    /** Flags of the scheduler. */
    declare public readonly schedulerFlags: pulumi.Output<SchedulerFlag[] | undefined>;
    /** One-packet scheduling. */
    declare public readonly onePacket: pulumi.Output<boolean | undefined>;
    /** Persistence. */
    declare public readonly persistence: pulumi.Output<pulumi.Unwrap<PersistenceArgs> | undefined>;
    /** Where the VIP goes on the director. */
    declare public readonly vip: pulumi.Output<pulumi.Unwrap<VipArgs> | undefined>;
    /** Inline real servers by address. */
    declare public readonly realServers: pulumi.Output<Record<string, pulumi.Unwrap<InlineRealServerArgs>> | undefined>;
    /** How inline real servers are removed. */
    declare public readonly drain: pulumi.Output<pulumi.Unwrap<DrainArgs> | undefined>;
    /** Whether a service that existed already is taken over. */
    declare public readonly adopt: pulumi.Output<boolean | undefined>;
    /** Whether the service is removed with real servers on it that nobody declared. */
    declare public readonly deleteForeign: pulumi.Output<boolean | undefined>;

    /**
     * @param name the resource's name in the program, unique within its parent
     * @param args the service
     * @param opts Pulumi's options for resources
     */
    constructor(name: string, args: VirtualServiceArgs, opts?: pulumi.CustomResourceOptions) {
        const director = directorReference(args.director);
        super("VirtualService", name, virtualServiceFields, { ...args, director }, opts);
        keepServiceReference(this, args, director);
    }
}
