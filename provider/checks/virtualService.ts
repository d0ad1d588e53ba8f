import { identityOf } from "../inputs/reference";
import type { VirtualServiceInputs } from "../inputs/service";
import type { Finding } from "../kinds/want";
import { serviceFindings } from "./service";

/** What a service's inputs alone show. */
export function virtualServiceFindings(inputs: VirtualServiceInputs): Finding[] {
    return serviceFindings(identityOf(inputs), inputs, "");
}
