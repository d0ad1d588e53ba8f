import { familyOf, isAddress } from "../ipvs/address";
import { fact } from "../kinds/probe";
import { defaultRoute, routeKind } from "../kinds/route";
import type { Finding, HostView } from "../kinds/want";
import { finding } from "./codes";
import { isLocal, routesTo } from "./network";

/** Whether a host can have its default route through this router, and can still be reached when it has. */
export function gatewayFindings(gateway: string | undefined, view: HostView): Finding[] {
    if (gateway === undefined) return [];
    const { key, value } = defaultRoute(gateway);
    const have = view.objects.get("route")?.get(key);
    if (typeof have === "string" && routeKind.satisfied?.(value, have, key) === true) return [];
    if (isLocal(view, gateway)) {
        return [finding("LVS-GATEWAY", "gateway", `${gateway} is this host's own address: name the director's`)];
    }
    const straight = routesTo(view, gateway).some(({ prefix, gateway: via }) => prefix > 0 && via === undefined);
    if (!straight) {
        return [
            finding(
                "LVS-GATEWAY",
                "gateway",
                `${gateway} is on no network that this host is connected to: the kernel takes no router that it would need a router for`,
            ),
        ];
    }
    return cuttingOff(gateway, view);
}

/** Our own connection, where this host answers it through the default route that is about to change. */
function cuttingOff(gateway: string, view: HostView): Finding[] {
    const peer = fact(view.probe, "ssh.peer") ?? "";
    if (!isAddress(peer) || familyOf(peer) !== familyOf(gateway) || isLocal(view, peer)) return [];
    const other = routesTo(view, peer).find(({ prefix, gateway: via }) => prefix === 0 && via !== gateway);
    if (other === undefined) return [];
    const through = other.gateway ?? other.device;
    return [
        finding(
            "LVS-GATEWAY-SSH",
            "gateway",
            `SSH to this host comes from ${peer}, which it answers through its default route${through === undefined ? "" : ` (${through})`}: through ${gateway} the answers may be lost, and the host could not be reached again; give it a route to ${peer} first`,
        ),
    ];
}
