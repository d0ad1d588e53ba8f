/**
 * What one resource tells another of itself: its inputs, as an object literal with one value each. Never one `apply` over
 * several of them (a secret among them would make all secret, an unknown one all unknown), never an output-only
 * property (unknown in every preview of an update), never an input that is not given (in a preview that is unknown too).
 */
import * as pulumi from "@pulumi/pulumi";
import { type Connection, nameOfConnection, withSecrets } from "./connection";
import type { Director } from "./director";
import type { FirewallMark, MarkArgs, ServiceAddress } from "./identity";

/** The plain data that stands for a Director, for one that another stack or nobody provisions. */
export interface DirectorReferenceArgs {
    /** The director's name in IDs and messages. Default: the connection's name, else `host[:port]`. */
    name?: pulumi.Input<string>;
    /** How to reach it: the name of an entry of the stack config `lvs:hosts`, or an SSH connection. */
    connection: pulumi.Input<Connection>;
    /** Interface that takes VIPs. Default: none; a service then names its own, or has none. */
    interface?: pulumi.Input<string>;
    /** Whether the director sets itself up again at boot. Default true. */
    persistAcrossReboot?: pulumi.Input<boolean>;
}

/** The plain data that stands for a VirtualService. */
export type ServiceReferenceArgs = (ServiceAddress | FirewallMark) & {
    /** The director that the service runs on: a Director, or its plain data. */
    director: Director | pulumi.Input<DirectorReferenceArgs>;
    /** What is given the service's firewall mark. Their addresses are the VIPs that real servers take. */
    marks?: pulumi.Input<pulumi.Input<MarkArgs>[]>;
};

/** A director as resources store it. */
export interface DirectorReference {
    name: string;
    connection: pulumi.Unwrap<Connection>;
    interface?: string;
    persistAcrossReboot?: boolean;
}

/** A service as real servers store it. */
export interface ServiceReference {
    director: DirectorReference;
    protocol?: "tcp" | "udp" | "sctp";
    address?: string;
    port?: number;
    fwmark?: number;
    family?: "ipv4" | "ipv6";
    marks?: { protocol: "tcp" | "udp" | "sctp"; address: string; port: number }[];
}

const directorFields = ["name", "connection", "interface", "persistAcrossReboot"] as const;
const serviceFields = ["protocol", "address", "port", "fwmark", "family", "marks"] as const;

/** Where a resource keeps what it tells others; known to every copy of this package. */
const REFERENCE = Symbol.for("pulumi-lvs.reference");

type Fields = Record<string, unknown>;

/** Keeps, on a Director, what others may say of it. `args` says which inputs are given. */
export function keepDirectorReference(director: pulumi.Resource, args: object): void {
    keep(director, ofResource(director, args, directorFields));
}

/** Keeps, on a VirtualService, what others may say of it: its director as it was told, itself by its properties. */
export function keepServiceReference(service: pulumi.Resource, args: object, director: unknown): void {
    keep(service, { director, ...ofResource(service, args, serviceFields) });
}

/** The director of a service. */
export function directorReference(given: unknown): pulumi.Input<DirectorReferenceArgs> {
    return reference(given, (director) => ({
        ...pick(director, directorFields),
        ...named(director),
        ...(director["connection"] === undefined
            ? {}
            : { connection: withSecrets(director["connection"] as pulumi.Input<Connection>) }),
    })) as unknown as pulumi.Input<DirectorReferenceArgs>;
}

/** The service of a real server. What a real server has no use for is left out: each byte is stored twice for each. */
export function serviceReference(given: unknown): pulumi.Input<ServiceReferenceArgs> {
    return reference(given, (service) => ({
        ...(service["director"] === undefined
            ? {}
            : { director: withoutInterface(directorReference(service["director"])) }),
        ...pick(service, serviceFields),
    })) as unknown as pulumi.Input<ServiceReferenceArgs>;
}

function withoutInterface(director: unknown): unknown {
    return whenKnown(director, (known) => {
        const { interface: _, ...rest } = known as Fields;
        return rest;
    });
}

/** A director that is given without a name has the name that a Director would have. */
function named(director: Fields): Fields {
    const { name, connection } = director;
    if ((name !== undefined && name !== null) || connection === undefined) return {};
    return { name: nameOfConnection(connection as pulumi.Input<Connection>, "director") };
}

/** From a resource what it keeps for others; from plain data the fields. What is neither is for the check to refuse. */
function reference(given: unknown, fields: (plain: Fields) => Fields): unknown {
    return whenKnown(given, (known) => {
        if (!pulumi.Resource.isInstance(known)) return isObject(known) ? fields(known) : known;
        const kept = (known as unknown as { [REFERENCE]?: Fields })[REFERENCE];
        // A resource of some other kind has nothing that could be meant.
        return kept === undefined ? {} : fields(kept);
    });
}

function whenKnown(given: unknown, change: (known: unknown) => unknown): unknown {
    if (pulumi.Output.isInstance(given) || given instanceof Promise) return pulumi.output(given).apply(change as never);
    return change(given);
}

/** The resource's own properties, so that whoever uses them waits for it; those that are not given are left out. */
function ofResource(resource: pulumi.Resource, args: object, fields: readonly string[]): Fields {
    const own = resource as unknown as Fields;
    return Object.fromEntries(fields.filter((name) => isGiven(args, name)).map((name) => [name, own[name]]));
}

function pick(from: Fields, fields: readonly string[]): Fields {
    return Object.fromEntries(fields.filter((name) => isGiven(from, name)).map((name) => [name, from[name]]));
}

function isGiven(args: object, name: string): boolean {
    const value = (args as Fields)[name];
    return value !== undefined && value !== null;
}

function keep(resource: pulumi.Resource, value: Fields): void {
    Object.defineProperty(resource, REFERENCE, { value, enumerable: false });
}

function isObject(value: unknown): value is Fields {
    return value !== null && typeof value === "object" && !Array.isArray(value);
}
