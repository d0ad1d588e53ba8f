import type { DirectorInputs } from "../inputs/director";
import type { Finding } from "../kinds/want";
import { serviceFindings } from "./service";
import { parseServiceKey } from "../ipvs/model";

/** What a director's inputs alone show. */
export function directorFindings(inputs: DirectorInputs): Finding[] {
    return Object.entries(inputs.virtualServices ?? {}).flatMap(([key, service]) =>
        serviceFindings(parseServiceKey(key), service, `virtualServices[${JSON.stringify(key)}]`),
    );
}
