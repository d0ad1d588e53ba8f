/**
 * What stands in users' states in the place of a serialized provider: 60 bytes that never change, so that deleting and
 * refreshing run the code of the installed version. The text and the path in it are public API for ever.
 */

/** The types of the package's resources. */
export type ResourceType = "Director" | "VirtualService" | "RealServer";

/** The property `__provider` of each resource. */
export const shim: Record<ResourceType, string> = {
    Director: 'exports.handler=()=>require("pulumi-lvs/dynamic").director',
    VirtualService: 'exports.handler=()=>require("pulumi-lvs/dynamic").virtualService',
    RealServer: 'exports.handler=()=>require("pulumi-lvs/dynamic").realServer',
};

/** What Pulumi's launcher of dynamic providers answers to. */
export const TYPE_PREFIX = "pulumi-nodejs:dynamic/lvs:";
