import type { DirectorInputs } from "../inputs/director";
import { parseServiceKey } from "../ipvs/model";
import type { Finding } from "../kinds/want";
import { serviceFindings } from "./service";

/** What a director's inputs alone show. */
export function directorFindings(inputs: DirectorInputs): Finding[] {
    return Object.entries(inputs.virtualServices ?? {}).flatMap(([key, service]) =>
        serviceFindings(parseServiceKey(key), service, `virtualServices[${JSON.stringify(key)}]`),
    );
}
