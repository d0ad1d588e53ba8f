import { destinationValue, type InlineRealServer } from "../inputs/realServer";
import { familyOfIdentity, type InlineService, realServersOf } from "../inputs/service";
import { isUnicast } from "../ipvs/address";
import { forcedPort, mayMixFamilies, type ServiceIdentity, serviceKey } from "../ipvs/model";
import type { Finding } from "../kinds/want";

/** What a service and its inline real servers show by themselves. `at`: the property that holds the service. */
export function serviceFindings(id: ServiceIdentity, fields: InlineService, at: string): Finding[] {
    const path = (name: string) => (at === "" ? name : `${at}.${name}`);
    const findings: Finding[] = [];
    if ("port" in id && id.port === 0 && fields.persistence === undefined) {
        findings.push({
            code: "LVS-PORT-0",
            severity: "error",
            property: path("port"),
            message: "port 0, every port, works only with persistence: the kernel refuses it",
        });
    }
    if (fields.onePacket === true && "protocol" in id && id.protocol !== "udp") {
        findings.push({
            code: "LVS-OPS-PROTOCOL",
            severity: "error",
            property: path("onePacket"),
            message: `one-packet scheduling is for udp and firewall marks, not for ${id.protocol}`,
        });
    }
    for (const { address, port, fields: server } of realServersOf(id, fields)) {
        const key = Object.keys(fields.realServers ?? {}).find((each) => fields.realServers![each] === server)!;
        findings.push(...ruleFindings(id, address, port, server, `${path("realServers")}[${JSON.stringify(key)}]`));
    }
    return findings;
}

/** What a rule shows by itself. `at`: the property that holds it. */
export function ruleFindings(
    id: ServiceIdentity,
    address: string,
    port: number,
    fields: InlineRealServer,
    at: string,
): Finding[] {
    const path = (name: string) => (at === "" ? name : `${at}.${name}`);
    const { forwarding } = destinationValue(fields);
    const forced = forcedPort(serviceKey(id), forwarding);
    const findings: Finding[] = [];
    if (forced !== undefined && port !== forced) {
        findings.push({
            code: "LVS-DR-PORT",
            severity: "error",
            property: path("port"),
            message: `${forwarding} leaves the packet's port as it is: it is ${forced}, the service's, not ${port} (only nat changes ports)`,
        });
    }
    if ((address.includes(":") ? "ipv6" : "ipv4") !== familyOfIdentity(id) && !mayMixFamilies(forwarding)) {
        findings.push({
            code: "LVS-FAMILY",
            severity: "error",
            property: at === "" ? "address" : at,
            message: `${address} is of another family than the service ${serviceKey(id)}: only tun can cross`,
        });
    }
    if (!isUnicast(address)) {
        findings.push({
            code: "LVS-NOT-UNICAST",
            severity: "error",
            property: at === "" ? "address" : at,
            message: `${address} is not the address of one host: the kernel refuses it`,
        });
    }
    return findings;
}
