import { hostFindings } from "../checks/host";
import { virtualServiceFindings } from "../checks/virtualService";
import { destinationValue } from "../inputs/realServer";
import { identityOf } from "../inputs/reference";
import { realServersOf, type VirtualServiceInputs, virtualServiceSchema } from "../inputs/service";
import { type DestinationValue, destinationKey, type ServiceValue, serviceKey } from "../ipvs/model";
import type { Want } from "../kinds/want";
import type { Resource } from "./resource";
import { directorBase, serviceHostFindings, serviceWants } from "./rules";

/** A virtual service on one director, with its VIP, its marks, and real servers that are declared inline. */
export const virtualService: Resource<VirtualServiceInputs> = {
    type: "VirtualService",
    schema: virtualServiceSchema,
    id: (inputs) => `${inputs.director.name}/${serviceKey(identityOf(inputs))}`,
    replacedBy: (before, now) =>
        (["protocol", "address", "port", "fwmark", "family"] as const).filter(
            (name) => withFamily(before)[name] !== withFamily(now)[name],
        ),
    parts: (inputs) => [
        {
            role: "director",
            connection: inputs.director.connection,
            property: "director.connection",
            boot: inputs.director.persistAcrossReboot !== false,
            settings: [],
            drain: inputs.drain?.timeout ?? 30,
            wants: () => wants(inputs),
            findings: (view) => [
                ...hostFindings(view, wants(inputs)),
                ...serviceHostFindings(
                    identityOf(inputs),
                    inputs,
                    { interface: inputs.director.interface, at: "" },
                    view,
                ),
            ],
        },
    ],
    findings: virtualServiceFindings,
    report: () => ({}),
    reflect,
    manner: (inputs) => ({ adopt: inputs.adopt ?? false, deleteForeign: inputs.deleteForeign ?? false }),
};

function wants(inputs: VirtualServiceInputs): Want[] {
    return [
        ...directorBase(inputs.director.persistAcrossReboot),
        ...serviceWants(identityOf(inputs), inputs, inputs.director.interface),
    ];
}

function withFamily(inputs: VirtualServiceInputs) {
    return inputs.fwmark === undefined ? inputs : { ...inputs, family: inputs.family ?? "ipv4" };
}

/** Scheduler, persistence and the real servers' rules as they were found. */
function reflect(inputs: VirtualServiceInputs, found: ReadonlyMap<string, unknown>): VirtualServiceInputs {
    const id = identityOf(inputs);
    const service = found.get(`service ${serviceKey(id)}`) as ServiceValue | undefined;
    const servers = Object.fromEntries(
        Object.entries(inputs.realServers ?? {}).map(([key, fields]) => {
            const { address, port } = realServersOf(id, { realServers: { [key]: fields } })[0]!;
            const value = found.get(`destination ${destinationKey(serviceKey(id), address, port)}`);
            return [key, value === undefined ? fields : reflectRule(fields, value as DestinationValue)];
        }),
    );
    return {
        ...inputs,
        ...(inputs.realServers === undefined ? {} : { realServers: servers }),
        ...(service === undefined ? {} : reflectService(inputs, service)),
    };
}

function reflectService(
    inputs: VirtualServiceInputs,
    { scheduler, persistence }: ServiceValue,
): Partial<VirtualServiceInputs> {
    return {
        ...(scheduler === (inputs.scheduler ?? "wlc") ? {} : { scheduler }),
        ...(inputs.persistence === undefined && persistence === null
            ? {}
            : {
                  persistence:
                      persistence === null ? undefined : { ...inputs.persistence, timeout: persistence.timeout },
              }),
    };
}

/** A rule's fields as they were found, where they differ from what is declared. */
export function reflectRule<T extends Parameters<typeof destinationValue>[0]>(fields: T, found: DestinationValue): T {
    const wanted = destinationValue(fields);
    const changed: Partial<Record<keyof DestinationValue, unknown>> = {};
    for (const name of ["forwarding", "weight", "upperThreshold", "lowerThreshold"] as const) {
        if (found[name] !== wanted[name]) changed[name] = found[name];
    }
    return { ...fields, ...changed };
}
