import { destinationValue, type RealServerInputs } from "../inputs/realServer";
import { identityOf, vipsOf } from "../inputs/reference";
import { defaultPort } from "../inputs/service";
import { parseAddressKey } from "../kinds/address";
import { lines } from "../kinds/probe";
import type { Finding, HostView } from "../kinds/want";
import { ruleFindings } from "./service";

/** What a real server's inputs alone show. */
export function realServerFindings(inputs: RealServerInputs): Finding[] {
    const id = identityOf(inputs.service);
    return ruleFindings(id, inputs.address, inputs.port ?? defaultPort(id), inputs, "");
}

/** What the real server itself shows, before anything is done there. */
export function realServerHostFindings(inputs: RealServerInputs, view: HostView): Finding[] {
    const { forwarding } = destinationValue(inputs);
    const held = [...(view.objects.get("address")?.keys() ?? [])].some(
        (key) => parseAddressKey(key).address.split("/")[0] === inputs.address,
    );
    const needsArp = forwarding !== "nat" && vipsOf(inputs.service).some((vip) => !vip.includes(":"));
    if (!held && needsArp) {
        return [
            {
                code: "LVS-RIP-ELSEWHERE",
                severity: "error",
                property: "address",
                message: `no interface of this host holds ${inputs.address}: its ARP settings cannot be placed, and it would answer for the VIP`,
            },
        ];
    }
    if (forwarding === "nat" && !hasRoute(view, inputs.address)) {
        return [
            {
                code: "LVS-NAT-RETURN",
                severity: "warning",
                property: "forwarding",
                message: "by nat the answers must go back through the director, and this host has no default route",
            },
        ];
    }
    return [];
}

function hasRoute(view: HostView, address: string): boolean {
    return lines(view.probe, address.includes(":") ? "route6" : "route").some((line) => line.startsWith("default"));
}
