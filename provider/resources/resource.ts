/** What a resource is to the rest: pure functions from its inputs to what it wants of each host. */
import type { z } from "zod";
import type { Finding, HostView, Part } from "../kinds/want";
import type { Found } from "./reflect";

/** A connection as inputs name it: a name in `lvs:hosts`, or the connection itself. */
export type ConnectionReference = string | Record<string, unknown>;

export interface Resource<Inputs extends object = object> {
    /** The resource's name in messages and in Pulumi's type token. */
    readonly type: "Director" | "VirtualService" | "RealServer";
    readonly schema: z.ZodType<Inputs>;
    /** Deterministic and readable: `lb1/tcp/192.0.2.100:80`. */
    id(inputs: Inputs): string;
    /** The inputs whose change makes it another thing on the host, by name: it is replaced. */
    replacedBy(before: Inputs, now: Inputs): string[];
    /** Its parts on hosts, in the order of creation: what receives traffic before what sends it. */
    parts(inputs: Inputs): Part<ConnectionReference>[];
    /** What inputs alone show to be wrong or doubtful. */
    findings(inputs: Inputs): Finding[];
    /** Outputs from the hosts as they are, in the order of the parts: only what somebody reads. Undefined: not looked at. */
    report(inputs: Inputs, hosts: (HostView | undefined)[]): Record<string, unknown>;
    /** The inputs with the values that were found, where an input of their own shows the object that differs. */
    reflect(inputs: Inputs, found: Found): Inputs;
    /** How the declaration is meant. */
    manner(inputs: Inputs): { adopt: boolean; deleteForeign: boolean };
}
