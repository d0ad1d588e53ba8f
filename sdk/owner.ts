import * as pulumi from "@pulumi/pulumi";
import { type ResourceType, TYPE_PREFIX } from "../provider/dynamic/shim";

/**
 * Who a resource is: `organization/project/stack#Type/name`, with the types of its parents before its own, as in its
 * URN: `organization/project/stack#my:index:Farm$RealServer/web1`. One for each URN. The config `lvs:owner` replaces
 * what stands before the `#`, for a stack that is moved or renamed.
 *
 * A promise, not an Output: as an Output it would make every child of a component wait for its siblings.
 */
export async function ownerOf(type: ResourceType, name: string, parent: pulumi.Resource | undefined): Promise<string> {
    const urn = pulumi.createUrn(name, `${TYPE_PREFIX}${type}`, parent) as unknown as { promise(): Promise<string> };
    return ownerOfUrn(await urn.promise(), stackIdentity());
}

/** The part of an owner that follows from the URN, behind the stack's identity. */
export function ownerOfUrn(urn: string, stack: string): string {
    const [, , types = "", ...name] = urn.split("::");
    const short = types
        .split("$")
        .map((type) => (type.startsWith(TYPE_PREFIX) ? type.slice(TYPE_PREFIX.length) : type))
        .join("$");
    // The first / ends the types: owners of two URNs are never equal.
    return `${stack}#${escaped(short).replaceAll("/", "%2F")}/${escaped(name.join("::"))}`;
}

/** `organization/project/stack`, or the config `lvs:owner`. */
function stackIdentity(): string {
    const given = new pulumi.Config("lvs").get("owner");
    if (given?.trim() === "")
        throw new pulumi.RunError("config lvs:owner: must not be empty; leave it out for the default");
    return escaped(given ?? [organization(), pulumi.getProject(), pulumi.getStack()].join("/"));
}

/** The local backend has none, nor have a user's unit tests with mocks: Pulumi's own word for that is "organization". */
function organization(): string {
    try {
        return pulumi.getOrganization();
    } catch {
        return "organization";
    }
}

/** An owner is one word of one line in the ledger. */
function escaped(text: string): string {
    return text.replace(/[\s#%\u0000-\u001f\u007f-\u009f]/g, (character) => encodeURIComponent(character));
}
