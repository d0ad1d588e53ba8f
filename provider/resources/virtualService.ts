import { hostFindings } from "../checks/host";
import { virtualServiceFindings } from "../checks/virtualService";
import { identityOf } from "../inputs/reference";
import { type VirtualServiceInputs, virtualServiceSchema } from "../inputs/service";
import { defaults } from "../ipvs/limits";
import { serviceKey } from "../ipvs/model";
import type { HostView, Want } from "../kinds/want";
import { reflectService } from "./reflect";
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
            drain: inputs.drain?.timeout ?? defaults.drain,
            wants: (view) => wants(inputs, view),
            findings: (view) => [
                ...hostFindings(view, wants(inputs, view)),
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
    reflect: (inputs, found) => reflectService(identityOf(inputs), inputs, found),
    manner: (inputs) => ({ adopt: inputs.adopt ?? false, deleteForeign: inputs.deleteForeign ?? false }),
};

function wants(inputs: VirtualServiceInputs, view: HostView | undefined): Want[] {
    return [
        ...directorBase(inputs.director.persistAcrossReboot),
        ...serviceWants(identityOf(inputs), inputs, inputs.director.interface, view),
    ];
}

function withFamily(inputs: VirtualServiceInputs) {
    return inputs.fwmark === undefined ? inputs : { ...inputs, family: inputs.family ?? "ipv4" };
}
