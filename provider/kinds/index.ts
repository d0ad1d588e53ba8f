/** Every kind of object, in the order of their ranks. A new kernel feature is a row here, its file, and a test. */
import { addressKind } from "./address";
import { bootKind } from "./boot";
import { markKind, masqueradeKind, mssKind, redirectKind, tableKind } from "./filter";
import { forwardingKind } from "./forwarding";
import { fouKind } from "./fou";
import { hopKind } from "./hop";
import { destinationKind, serviceKind, syncKind, timeoutKind } from "./ipvs";
import type { Kind } from "./kind";
import { linkKind } from "./link";
import { moduleKind, parameterKind } from "./module";
import { routeKind } from "./route";
import { sysctlKind } from "./sysctl";

export const kinds: readonly Kind[] = [
    bootKind,
    parameterKind,
    moduleKind,
    sysctlKind,
    forwardingKind,
    fouKind,
    linkKind,
    routeKind,
    hopKind,
    tableKind,
    markKind,
    masqueradeKind,
    mssKind,
    redirectKind,
    timeoutKind,
    serviceKind,
    destinationKind,
    syncKind,
    addressKind,
] as unknown as Kind[];

const byName = new Map(kinds.map((kind) => [kind.name, kind]));

/** Whether this version knows a kind. */
export function isKind(name: string): boolean {
    return byName.has(name);
}

/** The row of a kind; throws for a name that this version does not know. */
export function kindOf(name: string): Kind {
    const kind = byName.get(name);
    if (kind === undefined) throw new Error(`this version of pulumi-lvs does not know objects of kind "${name}"`);
    return kind;
}

export {
    type Action,
    type Group,
    groups,
    type Kind,
    type ManagedObject,
    type Objects,
    type Place,
    type Value,
} from "./kind";
