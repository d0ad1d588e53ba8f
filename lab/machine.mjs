import { parseAddress } from "./address.mjs";
import { file } from "./cpio.mjs";
import { reaches } from "./hosts-file.mjs";

/**
 * The files of a host that is a full machine (init: systemd). There the network is Debian's own, ifupdown, so that
 * "restart the network service" and "reboot" mean what they mean to users.
 *
 * @typedef {import("./hosts-file.mjs").Host} Host
 */

/** @param {Host} host @param {string} management its address @param {string[]} modules @param {string} at */
export function machineFiles(host, management, modules, at) {
    return [
        file(`${at}/etc/network/interfaces`, interfaces(host, management)),
        file(`${at}/etc/sysctl.d/90-lab.conf`, host.forward ? ROUTER : STRICT),
        ...(modules.length > 0 ? [file(`${at}/etc/modules-load.d/lab.conf`, `${modules.join("\n")}\n`)] : []),
        file(`${at}/etc/systemd/system/lab-ready.service`, readyUnit(host.name)),
    ];
}

const STRICT = `net.ipv4.conf.all.rp_filter = 1
net.ipv4.conf.default.rp_filter = 1
net.ipv4.conf.*.rp_filter = 1
`;

const ROUTER = `net.ipv4.ip_forward = 1
net.ipv6.conf.all.forwarding = 1
net.ipv4.conf.all.rp_filter = 0
net.ipv4.conf.default.rp_filter = 0
net.ipv4.conf.*.rp_filter = 0
net.ipv4.conf.all.send_redirects = 0
net.ipv4.conf.default.send_redirects = 0
net.ipv4.conf.*.send_redirects = 0
`;

/** @param {Host} host @param {string} management */
function interfaces(host, management) {
    const own = host.interfaces.map((entry, at) => {
        const routes = host.routes.filter(({ via }) => {
            const gateway = parseAddress(via);
            return gateway !== undefined && host.interfaces.findIndex((other) => reaches(other, gateway)) === at;
        });
        return stanza(`eth${at}`, entry, routes);
    });
    return ["auto lo\niface lo inet loopback\n", stanza("mgmt", { address: `${management}/24` }, []), ...own].join(
        "\n",
    );
}

/**
 * @param {string} name @param {{ address?: string, address6?: string }} addresses
 * @param {import("./hosts-file.mjs").Route[]} routes
 */
function stanza(name, { address, address6 }, routes) {
    const parts = [
        `auto ${name}\n`,
        ...(address ? [`iface ${name} inet static\n    address ${address}\n`] : []),
        ...(address6 ? [`iface ${name} inet6 static\n    address ${address6}\n    dad-attempts 0\n`] : []),
        ...(address || address6 ? [] : [`iface ${name} inet manual\n`]),
    ];
    return parts.concat(routes.map(({ to, via }) => `    up ip route replace ${to} via ${via}\n`)).join("");
}

/** @param {string} name */
function readyUnit(name) {
    return `[Unit]
Description=Tell the lab that this machine can be logged in to
After=ssh.service network.target

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo "@lab ready ${name}" >/dev/console; echo "@lab up" >/dev/console'

[Install]
WantedBy=multi-user.target
`;
}
