import { ethernetAddress, MANAGEMENT_INTERFACE, managementAddress } from "./plan.mjs";

/**
 * The emulator's command line.
 *
 * @typedef {"kvm" | "tcg"} Accelerator
 * @typedef {import("./hosts-file.mjs").Topology} Topology
 */

export const QEMU = "qemu-system-x86_64";

/**
 * Without what a real processor does fast and an emulated one slowly: string instructions go byte by byte, vectors
 * element by element, and a fifth level of page tables is walked for nothing. Halves the time to boot.
 */
const EMULATED_CPU = "max,-erms,-la57,-avx,-avx2,-pku";

/** @param {Accelerator} accelerator @param {{ kernel: string, initrd: string, console: string }} boot */
export function machineArguments(accelerator, { kernel, initrd, console }) {
    return [
        ...(accelerator === "kvm"
            ? ["-accel", "kvm", "-cpu", "host"]
            : ["-accel", "tcg,thread=multi", "-cpu", EMULATED_CPU]),
        ...["-nodefaults", "-no-user-config", "-display", "none"],
        ...["-kernel", kernel, "-initrd", initrd],
        // Every option here was measured to save time or to make a lost guest end instead of hang. norandmaps saves most:
        // code at a new address in every process is translated anew in every process, 50 ms for each instead of 14.
        ...[
            "-append",
            "console=ttyS0 quiet panic=-1 net.ifnames=0 mitigations=off nokaslr norandmaps random.trust_cpu=on audit=0",
        ],
        ...["-serial", `file:${console}`],
    ];
}

/**
 * @param {Topology} topology @param {number[]} ports one on loopback for each host's sshd
 * @param {string} root the image's root file system, never written
 */
export function labArguments(topology, ports, root) {
    const systemd = topology.init === "systemd";
    // restrict=on: nothing leaves the guest. Each host is reached at a loopback port of its own.
    const forwards = ports.map((port, index) => `hostfwd=tcp:127.0.0.1:${port}-${managementAddress(index)}:22`);
    const network = [
        "user",
        "id=mgmt",
        "restrict=on",
        "ipv6=off",
        "net=100.127.255.0/24",
        "host=100.127.255.2",
        ...forwards,
    ];
    const macs = systemd ? `,mac=${ethernetAddress(0, MANAGEMENT_INTERFACE)}` : "";
    return [
        ...["-m", "1024", "-smp", "2"],
        ...(systemd ? [] : ["-no-reboot"]),
        ...["-uuid", crypto.randomUUID()],
        ...["-drive", `file=${root.replaceAll(",", ",,")},if=virtio,format=raw,snapshot=on,cache=unsafe`],
        ...["-netdev", network.join(",")],
        ...["-device", `virtio-net-pci,netdev=mgmt,romfile=${macs}`],
        ...(systemd ? segmentArguments(topology.hosts[0].interfaces.length) : []),
    ];
}

/** The other interfaces of a full machine: each on a wire of its own that leads nowhere. @param {number} count */
function segmentArguments(count) {
    return Array.from({ length: count }, (_, at) => [
        ...["-netdev", `hubport,id=eth${at},hubid=${at}`],
        ...["-device", `virtio-net-pci,netdev=eth${at},romfile=,mac=${ethernetAddress(0, at)}`],
    ]).flat();
}
