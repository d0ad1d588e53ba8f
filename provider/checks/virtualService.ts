import { identityOf } from "../inputs/reference";
import type { VirtualServiceInputs } from "../inputs/service";
import type { Finding } from "../kinds/want";
import { sameConnection } from "./ownSsh";
import { serviceFindings, sharedTraffic } from "./service";

/** What a service's inputs alone show. */
export function virtualServiceFindings(inputs: VirtualServiceInputs): Finding[] {
    const id = identityOf(inputs);
    return [
        ...serviceFindings(id, inputs, ""),
        ...sharedTraffic([{ id, fields: inputs, at: "" }]),
        ...sameConnection(id, inputs, inputs.director.connection, ""),
    ];
}
