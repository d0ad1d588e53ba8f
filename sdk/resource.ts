import * as pulumi from "@pulumi/pulumi";
import { type ResourceType, shim, TYPE_PREFIX } from "../provider/dynamic/shim";
import { ownerOf } from "./owner";

/** What Director, VirtualService and RealServer have in common: who they are, and what the provider writes about them. */
export abstract class LvsResource extends pulumi.CustomResource {
    /** Who the resource is in the ledgers of its hosts: `organization/project/stack#Type/name`. */
    declare public readonly owner: pulumi.Output<string>;
    /** After a refresh: what was found on the hosts where it differs from what is declared, by object. Else absent. */
    declare public readonly drift: pulumi.Output<Record<string, unknown> | undefined>;
    /** Tells this incarnation of the resource from an earlier one of the same name. */
    declare public readonly token: pulumi.Output<string>;
    /** Version of the outputs' shape. */
    declare public readonly schema: pulumi.Output<number>;

    /**
     * @param fields the inputs' names, so that each is a property of the resource, given or not
     * @param props the inputs that are given
     */
    protected constructor(
        type: ResourceType,
        name: string,
        fields: readonly string[],
        props: pulumi.Inputs,
        opts: pulumi.CustomResourceOptions | undefined,
    ) {
        const all: pulumi.Inputs = {
            ...Object.fromEntries(fields.map((field) => [field, undefined])),
            ...props,
            owner: ownerOf(type, name, opts?.parent),
            drift: undefined,
            token: undefined,
            schema: undefined,
            // In the place of pulumi.dynamic.Resource's serialized code.
            __provider: shim[type],
        };
        super(`${TYPE_PREFIX}${type}`, name, all, opts);
    }
}
