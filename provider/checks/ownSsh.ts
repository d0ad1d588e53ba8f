import type { InlineService } from "../inputs/service";
import { canonicalAddress, isAddress } from "../ipvs/address";
import type { ServiceIdentity } from "../ipvs/model";
import { hasPort, type Ports } from "../kinds/dialect";
import { fact } from "../kinds/probe";
import type { Finding, HostView } from "../kinds/want";
import { finding } from "./codes";
import { below } from "./words";

/** The service would take the port that its director is reached at, by the connection that the program names. */
export function sameConnection(
    id: ServiceIdentity,
    fields: Pick<InlineService, "marks">,
    connection: string | Record<string, unknown>,
    at: string,
): Finding[] {
    if (typeof connection === "string") return [];
    const { host, port } = connection;
    if (typeof host !== "string" || !isAddress(host)) return [];
    return taken(id, fields, canonicalAddress(host), typeof port === "number" ? port : 22, at);
}

/** The same by the address that the host itself says we are connected to: behind a name, a bastion, a forwarded port. */
export function sameConnectionOn(
    view: HostView,
    id: ServiceIdentity,
    fields: Pick<InlineService, "marks">,
    at: string,
): Finding[] {
    const [host = "", port = ""] = (fact(view.probe, "ssh") ?? "").split(" ");
    return isAddress(host) && /^\d+$/.test(port) ? taken(id, fields, canonicalAddress(host), Number(port), at) : [];
}

function taken(
    id: ServiceIdentity,
    { marks }: Pick<InlineService, "marks">,
    host: string,
    port: number,
    at: string,
): Finding[] {
    const cuts = (each: { protocol: string; address: string; port: Ports }) =>
        each.protocol === "tcp" && each.address === host && hasPort(each.port, port);
    const property = (place: string) =>
        finding(
            "LVS-OWN-SSH",
            place,
            `SSH to this director goes to ${host} port ${port}: the service would give it to its real servers, and the director could not be reached again`,
        );
    if ("protocol" in id) return cuts(id) ? [property(below(at, "port"))] : [];
    return (marks ?? []).flatMap((mark, index) =>
        cuts(mark) ? [property(`${below(at, "marks")}[${index}].port`)] : [],
    );
}
