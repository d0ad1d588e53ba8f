import { readFileSync } from "node:fs";
import { contains, parseAddress, parsePrefix, parseSubnet, surrounding } from "./address.mjs";
import { LabError } from "./failure.mjs";

/**
 * The description of a lab that users write: its networks and its hosts. Everything is checked before anything boots,
 * and every error names the property.
 *
 * @typedef {{ subnet: string, subnet6?: string }} Network
 * @typedef {{ network: string, address?: string, address6?: string }} Interface  addresses with their prefix
 * @typedef {{ to: string, via: string }} Route
 * @typedef {{ name: string, interfaces: Interface[], routes: Route[], forward: boolean }} Host
 * @typedef {{
 *     networks: Record<string, Network>,
 *     hosts: Host[],
 *     init: "namespaces" | "systemd",
 *     modules: string[],
 * }} Topology
 */

/** Management addresses run from .10 to .250. */
export const MOST_HOSTS = 240;

const MANAGEMENT = /** @type {import("./address.mjs").Subnet} */ (parseSubnet("100.127.255.0/24"));

/** @param {string} path @returns {Topology} */
export function readHostsFile(path) {
    let text;
    try {
        text = readFileSync(path, "utf8");
    } catch (error) {
        throw new LabError(`${path}: cannot be read (${/** @type {NodeJS.ErrnoException} */ (error).code})`);
    }
    let value;
    try {
        value = JSON.parse(text);
    } catch (error) {
        throw new LabError(`${path}: is not JSON: ${/** @type {Error} */ (error).message}`);
    }
    return checkTopology(value, path);
}

/**
 * @param {any} value what the file holds
 * @param {string} source named in errors
 * @returns {Topology} the same with every default filled in and every address carrying its prefix
 */
export function checkTopology(value, source) {
    const errors = new Errors();
    const topology = topologyOf(value, errors);
    if (errors.list.length > 0) {
        throw new LabError([`${source}: not a description of a lab`, ...errors.list].join("\n  "));
    }
    return topology;
}

class Errors {
    /** @type {string[]} */
    list = [];

    /** @param {string} path @param {string} message */
    add(path, message) {
        this.list.push(`${path || "(top level)"}: ${message}`);
    }

    /**
     * @param {any} value @param {string} path @param {string[]} known
     * @returns {Record<string, any>} the value, or an empty object so that checking can go on
     */
    object(value, path, known) {
        if (typeof value !== "object" || value === null || Array.isArray(value)) {
            this.add(path, `must be an object, is ${shown(value)}`);
            return {};
        }
        for (const key of Object.keys(value)) {
            if (known.length > 0 && !known.includes(key)) {
                this.add(path ? `${path}.${key}` : key, `unknown property; known are ${known.join(", ")}`);
            }
        }
        return value;
    }

    /** @param {any} value @param {string} path @returns {any[]} */
    array(value, path) {
        if (Array.isArray(value)) return value;
        this.add(path, `must be a list, is ${shown(value)}`);
        return [];
    }
}

/** @param {any} value @param {Errors} errors @returns {Topology} */
function topologyOf(value, errors) {
    const top = errors.object(value, "", ["networks", "hosts", "init", "modules"]);
    const networks = networksOf(top.networks ?? {}, errors);
    const taken = new Map();
    const hosts = errors.array(top.hosts, "hosts").map((host, at) => {
        return hostOf(host, `hosts[${at}]`, networks, taken, errors);
    });
    if (Array.isArray(top.hosts) && hosts.length === 0) errors.add("hosts", "is empty; a lab has at least one host");
    if (hosts.length > MOST_HOSTS) errors.add("hosts", `holds ${hosts.length} hosts; ${MOST_HOSTS} is the most`);
    const init = top.init ?? "namespaces";
    if (!["namespaces", "systemd"].includes(init)) {
        errors.add("init", `must be "namespaces" or "systemd", is ${shown(init)}`);
    }
    if (init === "systemd" && hosts.length > 1)
        errors.add("init", `"systemd" boots one host, hosts has ${hosts.length}`);
    const modules = errors.array(top.modules ?? [], "modules");
    modules.forEach((module, at) => {
        if (typeof module !== "string" || !/^[A-Za-z0-9_-]+$/.test(module)) {
            errors.add(`modules[${at}]`, `must be the name of a kernel module, is ${shown(module)}`);
        }
    });
    return { networks, hosts, init, modules };
}

/** @param {any} value @param {Errors} errors @returns {Record<string, Network>} */
function networksOf(value, errors) {
    const networks = errors.object(value, "networks", []);
    for (const [name, network] of Object.entries(networks)) {
        const path = `networks.${name}`;
        const { subnet, subnet6 } = errors.object(network, path, ["subnet", "subnet6"]);
        checkSubnet(subnet, 4, `${path}.subnet`, errors);
        if (subnet6 !== undefined) checkSubnet(subnet6, 6, `${path}.subnet6`, errors);
    }
    return networks;
}

/** @param {any} text @param {4 | 6} family @param {string} path @param {Errors} errors */
function checkSubnet(text, family, path, errors) {
    const subnet = typeof text === "string" ? parseSubnet(text) : undefined;
    if (subnet?.family !== family) {
        const example = family === 4 ? "10.77.1.0/24 (no bits behind the prefix)" : "fd00:1::/64";
        errors.add(path, `must be an IPv${family} subnet such as ${example}, is ${shown(text)}`);
    } else if (contains(MANAGEMENT, subnet) || contains(subnet, MANAGEMENT)) {
        errors.add(path, `${text} overlaps 100.127.255.0/24, the lab's management network`);
    }
}

/**
 * @param {any} value @param {string} path @param {Record<string, Network>} networks
 * @param {Map<string, string>} taken what is in use already, and where @param {Errors} errors
 * @returns {Host}
 */
function hostOf(value, path, networks, taken, errors) {
    const host = errors.object(value, path, ["name", "interfaces", "routes", "forward"]);
    if (typeof host.name !== "string" || !/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(host.name)) {
        errors.add(`${path}.name`, `must be a host name (a-z, 0-9, -), is ${shown(host.name)}`);
    } else {
        claim(`host ${host.name}`, `${path}.name`, taken, errors);
    }
    const forward = host.forward ?? false;
    if (typeof forward !== "boolean") errors.add(`${path}.forward`, `must be true or false, is ${shown(forward)}`);
    const interfaces = errors.array(host.interfaces ?? [], `${path}.interfaces`).map((entry, at) => {
        return interfaceOf(entry, `${path}.interfaces[${at}]`, networks, taken, errors);
    });
    const routes = errors.array(host.routes ?? [], `${path}.routes`).map((entry, at) => {
        return routeOf(entry, `${path}.routes[${at}]`, interfaces, errors);
    });
    return { name: host.name, interfaces, routes, forward };
}

/**
 * @param {any} value @param {string} path @param {Record<string, Network>} networks
 * @param {Map<string, string>} taken @param {Errors} errors @returns {Interface}
 */
function interfaceOf(value, path, networks, taken, errors) {
    const entry = errors.object(value, path, ["network", "address", "address6"]);
    const network = Object.hasOwn(networks, entry.network ?? "") ? networks[entry.network] : undefined;
    if (!network) {
        const known = Object.keys(networks).join(", ") || "none";
        errors.add(`${path}.network`, `unknown network ${shown(entry.network)}; networks are ${known}`);
    }
    /** @param {"address" | "address6"} field @param {"subnet" | "subnet6"} subnetField */
    const addressIn = (field, subnetField) => {
        if (entry[field] === undefined) return undefined;
        const where = `${path}.${field}`;
        return addressOf(entry[field], network, subnetField, entry.network, where, taken, errors);
    };
    return {
        network: entry.network,
        address: addressIn("address", "subnet"),
        address6: addressIn("address6", "subnet6"),
    };
}

/**
 * @param {any} text @param {Network | undefined} known @param {"subnet" | "subnet6"} subnetField
 * @param {string} network its name @param {string} path @param {Map<string, string>} taken @param {Errors} errors
 * @returns {string | undefined} with its prefix
 */
function addressOf(text, known, subnetField, network, path, taken, errors) {
    const subnetText = known?.[subnetField];
    const family = subnetField === "subnet" ? 4 : 6;
    const [head, tail] = typeof text === "string" ? text.split(/\/(.*)/s) : [];
    const address = head === undefined ? undefined : parseAddress(head);
    if (!address || address.family !== family || (tail !== undefined && parsePrefix(tail, address) === undefined)) {
        errors.add(path, `must be an IPv${family} address, with or without its prefix, is ${shown(text)}`);
        return undefined;
    }
    claim(`address ${family}/${address.value}`, path, taken, errors, text);
    const subnet = typeof subnetText === "string" ? parseSubnet(subnetText) : undefined;
    if (subnetText === undefined) {
        if (known) errors.add(path, `network ${shown(network)} has no ${subnetField}`);
    } else if (subnet && !contains(subnet, address)) {
        errors.add(path, `${head} is outside ${subnetText}, the ${subnetField} of network ${shown(network)}`);
    }
    return `${head}/${tail ?? subnet?.prefix}`;
}

/** @param {any} value @param {string} path @param {Interface[]} interfaces @param {Errors} errors @returns {Route} */
function routeOf(value, path, interfaces, errors) {
    const { to, via } = errors.object(value, path, ["to", "via"]);
    const gateway = typeof via === "string" ? parseAddress(via) : undefined;
    if (!gateway) {
        errors.add(`${path}.via`, `must be an address, is ${shown(via)}`);
    } else if (interfaces.every((entry) => !reaches(entry, gateway))) {
        errors.add(`${path}.via`, `${via} is on no network of this host`);
    }
    const target = typeof to === "string" ? (parseSubnet(to) ?? parseAddress(to)) : undefined;
    if (to !== "default" && !target) {
        errors.add(`${path}.to`, `must be "default", a subnet or an address, is ${shown(to)}`);
    } else if (target && gateway && target.family !== gateway.family) {
        errors.add(`${path}.via`, `${via} is not of the family of ${to}`);
    }
    return { to, via };
}

/** @param {Interface} entry @param {import("./address.mjs").Address} gateway */
export function reaches({ address, address6 }, gateway) {
    return [address, address6].some((text) => {
        const around = text === undefined ? undefined : surrounding(text);
        return around !== undefined && contains(around, gateway);
    });
}

/**
 * @param {string} what @param {string} path @param {Map<string, string>} taken @param {Errors} errors
 * @param {string} [spelling]
 */
function claim(what, path, taken, errors, spelling) {
    const before = taken.get(what);
    if (before) errors.add(path, `${spelling ?? what.replace("host ", "")} is already taken by ${before}`);
    else taken.set(what, path);
}

/** @param {any} value */
function shown(value) {
    return value === undefined ? "missing" : JSON.stringify(value);
}
