/**
 * A model of ipvsadm 1.31 and of the table behind it, written from ipvsadm.c: it reads words as ipvsadm's
 * parse_options does, with its traps, keeps what the kernel keeps, and prints as ipvsadm and /proc/net/ip_vs print.
 * The golden tests hold it, line for line, to what a real kernel printed; the properties are then proved against it.
 */
import { isIPv4, isIPv6 } from "node:net";
import * as ipaddr from "ipaddr.js";

/** ipvsadm or the kernel said no. */
export class Refused extends Error {}

type Af = 4 | 6;
const PROTOCOLS: Record<string, number> = { "-t": 6, "-u": 17, "--sctp-service": 132 };
const OPTION_OF: Record<number, string> = { 6: "-t", 17: "-u", 132: "--sctp-service" };
const NAME_OF: Record<number, string> = { 6: "TCP", 17: "UDP", 132: "SCTP" };
const FLAG_BITS: Record<string, number> = {
    "flag-1": 1,
    "flag-2": 2,
    "flag-3": 4,
    "sh-fallback": 1,
    "sh-port": 2,
    "mh-fallback": 1,
    "mh-port": 2,
};
const TUNNEL_TYPES = ["ipip", "gue", "gre"];
const CHECKSUMS = ["--tun-nocsum", "--tun-csum", "--tun-remcsum"];

interface Service {
    af: Af;
    protocol: number;
    address: string;
    port: number;
    fwmark: number;
    scheduler: string;
    timeout: number | undefined;
    /** As ipvsadm holds it: a dotted IPv4 mask, or an IPv6 prefix length. */
    netmask: string | number;
    engine: string;
    ops: boolean;
    flags: number;
    destinations: Destination[];
}

interface Destination {
    af: Af;
    address: string;
    port: number;
    method: "-g" | "-i" | "-m";
    weight: number;
    upper: number;
    lower: number;
    tunnelType: number;
    tunnelPort: number;
    tunnelFlags: number;
}

/** One run of ipvsadm: what parse_options made of its words. */
interface Entry {
    command: string;
    service: Service;
    destination: Destination;
    given: Set<string>;
}

export class ModelOfIpvsadm {
    private services: Service[] = [];

    /** Runs one command; throws {@link Refused}. */
    run(words: readonly string[]): void {
        const entry = readWords(words);
        checkEntry(entry);
        const { service, destination } = entry;
        const found = this.services.find((one) => sameService(one, service));
        if (entry.command === "-A") {
            refuseIf(found !== undefined, "Service already exists");
            this.services.push(service);
            return;
        }
        if (found === undefined) {
            throw new Refused(/[aed]/.test(entry.command) ? "Service not defined" : "No such service");
        }
        const there = /[aed]/.test(entry.command)
            ? found.destinations.find((one) => sameDestination(one, destination))
            : undefined;
        switch (entry.command) {
            case "-E":
                Object.assign(found, { ...service, destinations: found.destinations });
                break;
            case "-D":
                this.services = this.services.filter((one) => one !== found);
                break;
            case "-a":
                refuseIf(there !== undefined, "Destination already exists");
                found.destinations.push(checkedByKernel(destination));
                break;
            case "-e":
                refuseIf(there === undefined, "No such destination");
                Object.assign(there!, checkedByKernel(destination));
                break;
            case "-d":
                refuseIf(there === undefined, "No such destination");
                found.destinations = found.destinations.filter((one) => one !== there);
                break;
            default:
                throw new Refused(`the model knows no ${entry.command}`);
        }
    }

    /** Runs a text as `ipvsadm -R` reads it. */
    restore(text: string): void {
        for (const line of text.split("\n")) {
            const words = line.split(/[ \t\r]+/).filter((word) => word !== "");
            if (words.length > 0) {
                this.run(words);
            }
        }
    }

    /** `ipvsadm -Sn`. */
    save(): string {
        return this.sorted()
            .flatMap((service) => [
                saveService(service),
                ...sortedDestinations(service).map((one) => saveDestination(service, one)),
            ])
            .map((line) => `${line}\n`)
            .join("");
    }

    /** `ipvsadm -Ln --thresholds`. */
    thresholds(): string {
        const rows = this.sorted().flatMap((service) => [
            listService(service),
            ...sortedDestinations(service).map((one) => {
                const name = colon(one.af, one.address, one.port);
                const columns = [one.upper, one.lower, 0, 0].map((column) => String(column).padEnd(10));
                return `  -> ${name.padEnd(28)} ${columns.join(" ")}`;
            }),
        ]);
        const titles = ["Uthreshold", "Lthreshold", "ActiveConn", "InActConn"].map((title) => title.padEnd(10));
        return [
            "IP Virtual Server version 1.2.1 (size=4096)",
            `${"Prot LocalAddress:Port".padEnd(33)} ${titles.join(" ")}`,
            "  -> RemoteAddress:Port",
            ...rows,
            "",
        ].join("\n");
    }

    /** /proc/net/ip_vs, in the order of the services' creation (the kernel's is that of its hash). */
    proc(): string {
        const rows = this.services.flatMap((service) => [
            procService(service),
            ...service.destinations.map((one) => {
                const forward = { "-g": "Route", "-i": "Tunnel", "-m": "Masq" }[one.method];
                const columns = `${forward.padEnd(7)} ${String(one.weight).padEnd(6)} ${"0".padEnd(10)} ${"0".padEnd(10)}`;
                return `  -> ${hexName(one.af, one.address, one.port)}      ${columns}`;
            }),
        ]);
        return [
            "IP Virtual Server version 1.2.1 (size=4096)",
            "Prot LocalAddress:Port Scheduler Flags",
            "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn",
            ...rows,
            "",
        ].join("\n");
    }

    /** ipvs_cmp_services: marks as signed numbers, then family, protocol, address, port. */
    private sorted(): Service[] {
        return [...this.services].sort(
            (a, b) =>
                ((a.fwmark | 0) - (b.fwmark | 0)) | 0 ||
                a.af - b.af ||
                a.protocol - b.protocol ||
                compareAddresses(a.address, b.address) ||
                a.port - b.port,
        );
    }
}

function sortedDestinations(service: Service): Destination[] {
    return [...service.destinations].sort((a, b) => compareAddresses(a.address, b.address) || a.port - b.port);
}

/** Differences of 32-bit words in 32 bits, which is no order where they overflow: as in ipvsadm. */
function compareAddresses(a: string, b: string): number {
    const left = words32(a);
    const right = words32(b);
    for (let index = 0; index < left.length; index++) {
        const difference = (left[index]! - (right[index] ?? 0)) | 0;
        if (difference !== 0) {
            return difference;
        }
    }
    return 0;
}

function words32(address: string): number[] {
    const bytes = bytesOf(address);
    const words: number[] = [];
    for (let at = 0; at < bytes.length; at += 4) {
        words.push(((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0);
    }
    return words;
}

/** By the URL parser, which shares nothing with what is tested. */
function bytesOf(address: string): number[] {
    const plain = isIPv6(address) ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;
    return ipaddr.parse(plain).toByteArray();
}

function refuseIf(condition: boolean, why: string): void {
    if (condition) {
        throw new Refused(why);
    }
}

/** parse_options: one option after the other, each seeing what those before it have set. */
function readWords(words: readonly string[]): Entry {
    const rest = [...words];
    const command = rest.shift() ?? "";
    refuseIf(!/^-[AEDaed]$/.test(command), `the command comes first, not ${command}`);
    const given = new Set<string>();
    const service: Service = {
        af: 4,
        protocol: 0,
        address: "",
        port: 0,
        fwmark: 0,
        scheduler: "",
        timeout: undefined,
        netmask: "255.255.255.255",
        engine: "",
        ops: false,
        flags: 0,
        destinations: [],
    };
    const destination: Destination = {
        af: 4,
        address: "",
        port: 0,
        method: "-g",
        weight: 1,
        upper: 0,
        lower: 0,
        tunnelType: 0,
        tunnelPort: 0,
        tunnelFlags: 0,
    };
    let flagWords = "";
    const once = (option: string) => {
        refuseIf(given.has(option), `multiple '${option}' options specified`);
        given.add(option);
    };
    for (let option = rest.shift(); option !== undefined; option = rest.shift()) {
        const argument = (): string => {
            const word = rest.shift();
            if (word === undefined) {
                throw new Refused(`${option}: missing argument`);
            }
            return word;
        };
        switch (option) {
            case "-t":
            case "-u":
            case "--sctp-service": {
                once("service");
                const read = readEndpoint(argument());
                Object.assign(service, { ...read, port: read.port ?? 0, protocol: PROTOCOLS[option] });
                service.netmask = read.af === 6 ? 128 : service.netmask;
                break;
            }
            case "-f":
                once("service");
                service.protocol = 6;
                service.fwmark = numberWithin(argument(), 1, 2 ** 32 - 1);
                break;
            case "-6":
                refuseIf(service.fwmark === 0, "-6 used before -f");
                service.af = 6;
                service.netmask = 128;
                break;
            case "-s":
                once("-s");
                service.scheduler = argument().slice(0, 15);
                break;
            case "-p":
                once("-p");
                service.timeout =
                    rest[0] === undefined || rest[0].startsWith("-") ? 360 : numberWithin(argument(), 1, 2678400);
                break;
            case "-M":
                once("-M");
                service.netmask = service.af === 4 ? inetAton(argument()) : numberWithin(argument(), 1, 128);
                break;
            case "--pe":
                once("--pe");
                service.engine = argument();
                break;
            case "-o":
                once("-o");
                service.ops = true;
                break;
            case "-b":
                once("-b");
                flagWords = argument();
                break;
            case "-r": {
                once("-r");
                const read = readEndpoint(argument());
                Object.assign(destination, { ...read, port: read.port ?? service.port });
                break;
            }
            case "-g":
            case "-i":
            case "-m":
                once("forward");
                destination.method = option;
                break;
            case "-w":
                once("-w");
                destination.weight = numberWithin(argument(), 0, 2 ** 31 - 1);
                break;
            case "-x":
                once("-x");
                destination.upper = numberWithin(argument(), 0, 2 ** 31 - 1);
                break;
            case "-y":
                once("-y");
                destination.lower = numberWithin(argument(), 0, 2 ** 31 - 1);
                break;
            case "--tun-type":
                once("--tun-type");
                destination.tunnelType = TUNNEL_TYPES.indexOf(argument());
                refuseIf(destination.tunnelType < 0, "illegal tunnel type specified");
                break;
            case "--tun-port":
                once("--tun-port");
                destination.tunnelPort = numberWithin(argument(), 1, 65535);
                break;
            case "--tun-nocsum":
            case "--tun-csum":
            case "--tun-remcsum":
                once(option);
                destination.tunnelFlags |= CHECKSUMS.indexOf(option);
                break;
            default:
                throw new Refused(`${option}: unknown option`);
        }
    }
    if (flagWords !== "") {
        service.flags = flagBits(service.scheduler || "wlc", flagWords);
    }
    return { command, service, destination, given };
}

function flagBits(scheduler: string, words: string): number {
    return words.split(",").reduce((bits, word) => {
        refuseIf(FLAG_BITS[word] === undefined, `invalid scheduler flag '${word}'`);
        refuseIf(/^[sm]h-/.test(word) && !word.startsWith(`${scheduler}-`), `incompatible scheduler flag '${word}'`);
        return bits | FLAG_BITS[word]!;
    }, 0);
}

function numberWithin(word: string, min: number, max: number): number {
    const value = /^\d+$/.test(word) ? Number(word) : Number.NaN;
    refuseIf(!(value >= min && value <= max), `'${word}' is not within ${min} and ${max}`);
    return value;
}

/** inet_aton: one to four parts, the last fills what is left: "24" is 0.0.0.24. */
function inetAton(word: string): string {
    const parts = word.split(".").map(Number);
    const last = parts.pop()!;
    const bytes = [0, 1, 2, 3].map((at) => parts[at] ?? Math.floor(last / 256 ** (3 - at)) % 256);
    return bytes.join(".");
}

/** parse_service: brackets only around an IPv6 address, and then only with a port behind them. */
function readEndpoint(word: string): { af: Af; address: string; port: number | undefined } {
    const bracketed = /^\[(.*?)\](.*)$/.exec(word);
    if (bracketed) {
        refuseIf(!bracketed[2]!.startsWith(":"), "illegal address[:port] specified");
        refuseIf(!isIPv6(bracketed[1]!), "illegal address[:port] specified");
        return { af: 6, address: bracketed[1]!, port: numberWithin(bracketed[2]!.slice(1), 0, 65535) };
    }
    if (isIPv6(word)) {
        return { af: 6, address: word, port: undefined };
    }
    const [address, port] = word.split(":");
    refuseIf(!isIPv4(address!), "illegal address[:port] specified");
    return { af: 4, address: address!, port: port === undefined ? undefined : numberWithin(port, 0, 65535) };
}

/** generic_opt_check, process_options, tunnel_opt_check. */
function checkEntry({ command, service, destination, given }: Entry): void {
    const forDestination = /[aed]/.test(command);
    refuseIf(!given.has("service"), "You need to supply the 'service' option");
    refuseIf(forDestination !== given.has("-r"), "'real-server' option missing or illegal");
    const legal = new Set(
        {
            A: ["-s", "-p", "-M", "--pe", "-o", "-b"],
            a: ["forward", "-w", "-x", "-y", "--tun-type", "--tun-port", ...CHECKSUMS],
        }[command === "-A" || command === "-E" ? "A" : command === "-a" || command === "-e" ? "a" : ("" as "A")] ?? [],
    );
    for (const option of given) {
        refuseIf(
            option !== "service" && option !== "-r" && !legal.has(option),
            `Illegal '${option}' with '${command}'`,
        );
    }
    if (command === "-A" || command === "-E") {
        refuseIf(
            service.fwmark === 0 && service.port === 0 && service.timeout === undefined,
            "Zero port specified for non-persistent service",
        );
        refuseIf(
            service.ops && service.fwmark === 0 && service.protocol !== 17,
            "One-Packet Scheduling is only for UDP virtual services",
        );
        service.scheduler ||= "wlc";
    }
    if (command === "-a" || command === "-e") {
        if (service.fwmark === 0 && destination.method !== "-m") {
            destination.port = service.port;
        }
        refuseIf(
            destination.af !== service.af && destination.method !== "-i",
            "Different address family is allowed only for tunneling servers",
        );
        const tunnelOptions = ["--tun-type", "--tun-port", ...CHECKSUMS].filter((option) => given.has(option));
        refuseIf(
            tunnelOptions.length > 0 && destination.method !== "-i",
            "Tunnel options conflict with forward method",
        );
        const sums = CHECKSUMS.filter((option) => given.has(option));
        const type = destination.tunnelType;
        refuseIf(sums.length > 1, "the checksums exclude each other");
        refuseIf((type === 1) !== given.has("--tun-port"), "--tun-port is for gue, and compulsory there");
        refuseIf((type === 0 && sums.length > 0) || (type === 2 && sums[0] === "--tun-remcsum"), "Illegal checksum");
    }
}

function checkedByKernel(destination: Destination): Destination {
    refuseIf(destination.lower > destination.upper, "Numerical result out of range");
    refuseIf(!isUnicast(destination.address), "Invalid argument");
    return destination;
}

/** Whether the address may be a host's (as far as the address alone can tell). */
function isUnicast(address: string): boolean {
    const first = words32(address)[0]!;
    return isIPv4(address)
        ? first !== 0 && first >>> 28 !== 0xe && first !== 0xffffffff
        : words32(address).some((word) => word !== 0) && first >>> 24 !== 0xff && first >>> 22 !== 0xfe80 >>> 6;
}

function sameService(a: Service, b: Service): boolean {
    return a.fwmark !== 0 || b.fwmark !== 0
        ? a.fwmark === b.fwmark && a.af === b.af
        : a.af === b.af && a.protocol === b.protocol && a.port === b.port && sameAddress(a.address, b.address);
}

function sameDestination(a: Destination, b: Destination): boolean {
    return a.af === b.af && a.port === b.port && sameAddress(a.address, b.address);
}

function sameAddress(a: string, b: string): boolean {
    return bytesOf(a).join() === bytesOf(b).join();
}

/** inet_ntop of the C library: dotted ends for IPv4-compatible and IPv4-mapped addresses. */
function printed(address: string): string {
    const bytes = bytesOf(address);
    if (bytes.length === 4) {
        return bytes.join(".");
    }
    const zeros = bytes.findIndex((byte) => byte !== 0);
    const v4 = bytes.slice(12).join(".");
    if (zeros === 12 || zeros === 13) {
        return `::${v4}`;
    }
    return zeros === 10 && bytes[10] === 0xff && bytes[11] === 0xff
        ? `::ffff:${v4}`
        : new URL(`http://[${address}]`).hostname.slice(1, -1);
}

function colon(af: Af, address: string, port: number): string {
    return af === 6 ? `[${printed(address)}]:${port}` : `${printed(address)}:${port}`;
}

function saveName(service: Service): string {
    if (service.fwmark !== 0) {
        return `-f ${service.fwmark | 0}${service.af === 6 ? " -6" : ""}`;
    }
    return `${OPTION_OF[service.protocol]} ${colon(service.af, service.address, service.port)}`;
}

function flagText(service: Service): string {
    const named = ["sh", "mh"].includes(service.scheduler);
    const names = named
        ? [`${service.scheduler}-fallback`, `${service.scheduler}-port`]
        : ["flag-1", "flag-2", "flag-3"];
    return names.filter((_, bit) => service.flags & (1 << bit)).join(",");
}

function isDefaultMask(service: Service): boolean {
    return service.netmask === (service.af === 6 ? 128 : "255.255.255.255");
}

function saveService(service: Service): string {
    let text = `-A ${saveName(service)} -s ${service.scheduler}`;
    if (service.timeout !== undefined) {
        text += ` -p ${service.timeout}${isDefaultMask(service) ? "" : ` -M ${service.netmask}`}`;
    }
    text += service.engine === "" ? "" : ` --pe ${service.engine}`;
    text += service.ops ? " -o" : "";
    return service.flags === 0 ? text : `${text} -b ${flagText(service)}`;
}

function saveDestination(service: Service, one: Destination): string {
    const text = `-a ${saveName(service)} -r ${colon(one.af, one.address, one.port)} ${one.method} -w ${one.weight}`;
    if (one.method !== "-i") {
        return text;
    }
    const type = TUNNEL_TYPES[one.tunnelType];
    const checksum = CHECKSUMS[one.tunnelFlags];
    return type === "ipip"
        ? `${text} --tun-type ipip`
        : type === "gue"
          ? `${text} --tun-type gue --tun-port ${one.tunnelPort} ${checksum}`
          : `${text} --tun-type gre ${checksum}`;
}

function listService(service: Service): string {
    const name =
        service.fwmark !== 0
            ? `FWM  ${service.fwmark | 0}${service.af === 6 ? " IPv6" : ""}`
            : `${NAME_OF[service.protocol]!.padEnd(4)} ${colon(service.af, service.address, service.port)}`;
    let text = `${name} ${service.scheduler}`;
    text += service.flags === 0 ? "" : ` (${flagText(service)})`;
    if (service.timeout !== undefined) {
        text += ` persistent ${service.timeout}${isDefaultMask(service) ? "" : ` mask ${service.netmask}`}`;
        text += service.engine === "" ? "" : ` pe ${service.engine}`;
    }
    return service.ops ? `${text} ops` : text;
}

function hex(value: number, digits: number): string {
    return value.toString(16).toUpperCase().padStart(digits, "0");
}

function hexName(af: Af, address: string, port: number): string {
    const name =
        af === 4
            ? hex(words32(address)[0]!, 8)
            : `[${words32(address)
                  .flatMap((word) => [word >>> 16, word & 0xffff])
                  .map((group) => group.toString(16).padStart(4, "0"))
                  .join(":")}]`;
    return `${name}:${hex(port, 4)}`;
}

/** Jiffies in a second of Debian's kernels: /proc/net/ip_vs counts in them. */
const HZ = 250;

function procService(service: Service): string {
    const ops = service.ops ? "ops " : "";
    const name =
        service.fwmark !== 0
            ? `FWM  ${hex(service.fwmark, 8)} ${service.scheduler} ${ops}`
            : service.af === 6
              ? `${NAME_OF[service.protocol]}  ${hexName(6, service.address, service.port)} ${service.scheduler} `
              : `${NAME_OF[service.protocol]}  ${hexName(4, service.address, service.port)} ${service.scheduler} ${ops} `;
    if (service.timeout === undefined) {
        return name;
    }
    // An IPv6 prefix length is printed as if it were a mask in network order.
    const mask = typeof service.netmask === "number" ? service.netmask * 2 ** 24 : words32(service.netmask)[0]!;
    return `${name}persistent ${service.timeout * HZ} ${hex(mask, 8)}`;
}
