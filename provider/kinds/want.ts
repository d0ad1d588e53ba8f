/** What a resource says of one host: the objects that it wants there, and how it means it. */
import type { ManagedObject, Objects } from "./kind";
import type { Probe } from "./probe";

/** A host as it was last seen. */
export interface HostView {
    readonly probe: Probe;
    readonly objects: Objects;
}

export interface Want extends ManagedObject {
    /** Members of the value that somebody else moves (a health checker the weight): left as they are on the host. */
    leave?: string[];
}

/** A resource's part on one host. Which host, as its inputs name it: a name in `lvs:hosts`, or a connection. */
export interface Part<Connection = unknown> {
    role: "director" | "realServer";
    connection: Connection;
    /** The input that names the host. */
    property: string;
    /** Set again at boot. */
    boot: boolean;
    /** Settings that it needs to see, as sysctl keys. */
    settings: string[];
    /** Seconds to wait for a real server's connections before it is removed. */
    drain: number;
    /** The same by the service's key, for services that have seconds of their own. */
    drains?: ReadonlyMap<string, number>;
    /** The objects; without a view those that follow from inputs alone. */
    wants(view: HostView | undefined): Want[];
    /** Said when the host was looked at, before anything is done: an error stops everything, a warning is printed. */
    findings(view: HostView, director: HostView | undefined): Finding[];
}

/** What a check has to say. */
export interface Finding {
    /** Stable: `LVS-DR-PORT`. */
    code: string;
    severity: "error" | "warning";
    /** The input that it is about, as Pulumi prints property paths; "" for the resource as a whole. */
    property: string;
    message: string;
}
