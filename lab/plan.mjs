import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { archive, directory, file } from "./cpio.mjs";
import { machineFiles } from "./machine.mjs";

/**
 * What one boot brings into the guest besides the image: the lab's scripts, and for each host its links, addresses
 * and files. All decisions are taken here; the guest's scripts only carry them out.
 *
 * @typedef {import("./hosts-file.mjs").Topology} Topology
 * @typedef {import("./hosts-file.mjs").Host} Host
 */

/** The management address of the host with this index. @param {number} index */
export function managementAddress(index) {
    return `100.127.255.${10 + index}`;
}

/** The Ethernet address of interface `at` of host `index`; readable in a capture. @param {number} index @param {number} at */
export function ethernetAddress(index, at) {
    return `02:4c:56:53:${hex(index + 1)}:${hex(at)}`;
}

/** The management interface is numbered behind all others. */
export const MANAGEMENT_INTERFACE = 255;

/**
 * @param {Topology} topology
 * @param {string} clientKey the public key that may log in
 * @param {Map<string, import("./keys.mjs").KeyPair>} hostKeys
 * @returns {Buffer} an archive for the kernel to unpack beside the image's initrd
 */
export function bootArchive(topology, clientKey, hostKeys) {
    const names = new Map(Object.keys(topology.networks).map((name, at) => [name, `net${at}`]));
    return archive([
        file("init", guestFile("init"), 0o755),
        ...readdirSync(new URL("guest/", import.meta.url)).map((name) =>
            file(`lab/guest/${name}`, guestFile(name), 0o755),
        ),
        ...(topology.init === "systemd" ? [file("lab/systemd", "")] : []),
        file("lab/modules", topology.modules.join(" ")),
        file("lab/network", lines(network(topology.hosts, names))),
        ...topology.hosts.flatMap((host, index) => {
            const key = /** @type {import("./keys.mjs").KeyPair} */ (hostKeys.get(host.name));
            return hostFiles(host, index, topology, clientKey, key);
        }),
    ]);
}

/** An archive that only asks whether a stock kernel starts. */
export function probeArchive() {
    return archive([file("init", guestFile("init"), 0o755), file("lab/probe", "")]);
}

/** Everything between the hosts, as `ip -batch` takes it. @param {Host[]} hosts @param {Map<string, string>} names */
function network(hosts, names) {
    return [
        "link set lo up",
        ...["mgmt", ...names.values()].flatMap((name) => [
            // A wire forgets nothing and decides nothing: no spanning tree, no snooping.
            `link add ${name} type bridge forward_delay 0 mcast_snooping 0`,
            `link set ${name} up`,
        ]),
        "link set eth0 master mgmt up",
        ...hosts.map(({ name }) => `netns add ${name}`),
        ...hosts.flatMap((host, index) => links(host, index, names)),
    ];
}

/** @param {Host} host @param {number} index @param {Map<string, string>} names */
function links(host, index, names) {
    const own = host.interfaces.map(({ network }, at) => ({ name: `eth${at}`, bridge: names.get(network), at }));
    return [...own, { name: "mgmt", bridge: "mgmt", at: MANAGEMENT_INTERFACE }].flatMap(({ name, bridge, at }) => [
        `link add v${index}-${at} type veth peer name ${name} address ${ethernetAddress(index, at)} netns ${host.name}`,
        `link set v${index}-${at} master ${bridge} up`,
    ]);
}

/**
 * @param {Host} host @param {number} index @param {Topology} topology @param {string} clientKey
 * @param {import("./keys.mjs").KeyPair} hostKey
 */
function hostFiles(host, index, topology, clientKey, hostKey) {
    const at = `lab/hosts/${host.name}`;
    return [
        file(`${at}/addresses`, lines(addresses(host, index))),
        ...(host.forward ? [file(`${at}/forward`, "")] : []),
        directory(`${at}/work`),
        directory(`${at}/merged`),
        // What lies above the shared root from the start.
        directory(`${at}/upper/root`, 0o700),
        directory(`${at}/upper/root/.ssh`, 0o700),
        file(`${at}/upper/root/.ssh/authorized_keys`, `${clientKey}\n`, 0o600),
        file(`${at}/upper/etc/ssh/ssh_host_ed25519_key`, hostKey.private, 0o600),
        file(`${at}/upper/etc/ssh/ssh_host_ed25519_key.pub`, `${hostKey.public}\n`),
        file(`${at}/upper/etc/hostname`, `${host.name}\n`),
        file(`${at}/upper/etc/machine-id`, `${randomBytes(16).toString("hex")}\n`),
        ...(topology.init === "systemd"
            ? machineFiles(host, managementAddress(index), topology.modules, `${at}/machine`)
            : []),
        file(`${at}/upper/etc/hosts`, lines(hostsTable(topology.hosts))),
    ];
}

/** Addresses and routes as `ip -batch` takes them. @param {Host} host @param {number} index */
function addresses(host, index) {
    return [
        // lo first: without it the kernel refuses every IPv4 real server.
        "link set lo up",
        `addr add ${managementAddress(index)}/24 dev mgmt`,
        ...host.interfaces.flatMap(({ address, address6 }, at) => [
            ...(address ? [`addr add ${address} broadcast + dev eth${at}`] : []),
            // Without "nodad" the address would be unusable for the second in which tests begin.
            ...(address6 ? [`addr add ${address6} dev eth${at} nodad`] : []),
        ]),
        "link set mgmt up",
        ...host.interfaces.map((_, at) => `link set eth${at} up`),
        ...host.routes.map(({ to, via }) => `route add ${to} via ${via}`),
    ];
}

/** Every host knows every other by the first address it has. @param {Host[]} hosts */
function hostsTable(hosts) {
    const named = hosts.flatMap(({ name, interfaces }) => {
        const first = [
            interfaces.find(({ address }) => address)?.address,
            interfaces.find(({ address6 }) => address6)?.address6,
        ];
        const found = first
            .filter((address) => address !== undefined)
            .map((address) => `${address.split("/")[0]} ${name}`);
        return found.length > 0 ? found : [`127.0.1.1 ${name}`];
    });
    return ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback", ...named];
}

/** @param {string} name */
function guestFile(name) {
    return readFileSync(new URL(`guest/${name}`, import.meta.url));
}

/** @param {string[]} list */
function lines(list) {
    return list.map((line) => `${line}\n`).join("");
}

/** @param {number} value */
function hex(value) {
    return value.toString(16).padStart(2, "0");
}
