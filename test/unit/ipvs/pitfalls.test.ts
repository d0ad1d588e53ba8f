/** The traps of ipvsadm, one by one: how each is kept from a user's table. */
import type { DestinationValue, ServiceValue } from "../../../provider/ipvs/model";
import { parseConnections, parseDaemons, parseTable, UnreadableOutput } from "../../../provider/ipvs/parse";
import {
    addDestination,
    addService,
    deleteDestination,
    deleteService,
    editDestination,
    editService,
    restoreLine,
    setTimeouts,
    startDaemon,
    stopDaemon,
} from "../../../provider/ipvs/render";
import { ModelOfIpvsadm, Refused } from "./model-of-ipvsadm";

const service: ServiceValue = { scheduler: "wlc", flags: [], onePacket: false, persistence: null };
const persistent = (netmask: number | string, timeout = 360, engine: string | null = null): ServiceValue => ({
    ...service,
    persistence: { timeout, netmask, engine },
});
const dr: DestinationValue = { forwarding: "dr", weight: 1, upperThreshold: 0, lowerThreshold: 0, tunnel: null };
const nat: DestinationValue = { ...dr, forwarding: "nat" };
const ipip: DestinationValue = { ...dr, forwarding: "tun", tunnel: { type: "ipip", port: null, checksum: "none" } };

const HEAD = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn
  -> RemoteAddress:Port
`;
const WEB = "-A -t 192.0.2.100:80 -s wlc\n";
const WEB_LISTED = `${HEAD}TCP  192.0.2.100:80 wlc\n`;
const web = "tcp/192.0.2.100:80";

describe("what is sent", () => {
    test("-6 follows its mark and stands before -M, which it would reset", () => {
        expect(addService("fwm6/1", persistent(64))).toEqual("-A -f 1 -6 -s wlc -p 360 -M 64".split(" "));
    });

    test("-M comes after the service's address, which says how to read it", () => {
        expect(addService("tcp/[2001:db8::1]:80", persistent(64)).join(" ")).toBe(
            "-A -t [2001:db8::1]:80 -s wlc -p 360 -M 64",
        );
    });

    test("an IPv4 mask is dotted: -M 24 would be the mask 0.0.0.24", () => {
        expect(addService(web, persistent(24)).join(" ")).toContain("-M 255.255.255.0");
        expect(addService(web, persistent("255.0.255.0")).join(" ")).toContain("-M 255.0.255.0");
    });

    test("-M never stands without -p, which would drop it", () => {
        expect(addService(web, service)).not.toContain("-M");
    });

    test("-p always has its value: ipvsadm's own default is not the one of its man page", () => {
        expect(addService(web, persistent(32)).join(" ")).toContain("-p 360");
    });

    test("a full set with every edit: what -E and -e are not told goes back to a default", () => {
        const value: ServiceValue = {
            ...persistent(24, 300, "sip"),
            scheduler: "sh",
            flags: ["sh-port"],
            onePacket: true,
        };
        expect(editService("udp/192.0.2.100:5060", value).join(" ")).toBe(
            "-E -u 192.0.2.100:5060 -s sh -p 300 -M 255.255.255.0 --pe sip -o -b sh-port",
        );
        expect(editDestination(`${web}/192.0.2.21:80`, dr).join(" ")).toBe(
            "-e -t 192.0.2.100:80 -r 192.0.2.21:80 -g -w 1 -x 0 -y 0",
        );
    });

    test("weight, thresholds and method are spelled out even where they are the default", () => {
        expect(addDestination(`${web}/192.0.2.21:80`, dr).join(" ")).toBe(
            "-a -t 192.0.2.100:80 -r 192.0.2.21:80 -g -w 1 -x 0 -y 0",
        );
    });

    test("an IPv6 real server has brackets and a port, without which ipvsadm refuses it", () => {
        expect(addDestination("tcp/[2001:db8::1]:80/[2001:db8::21]:80", dr)).toContain("[2001:db8::21]:80");
        expect(() => new ModelOfIpvsadm().restore("-A -t [::1]:80\n-a -t [::1]:80 -r [2001:db8::21]")).toThrow(Refused);
    });

    test("port 0 is written, not left out: ipvsadm would copy the service's", () => {
        expect(addDestination("fwm/1/192.0.2.21:0", nat)).toContain("192.0.2.21:0");
        expect(addService("tcp/192.0.2.100:0", persistent(32))).toContain("192.0.2.100:0");
    });

    test("a mark from 2^31 up is sent unsigned; as -S prints it, -R refuses it", () => {
        expect(addService("fwm/4294967295", service)).toEqual("-A -f 4294967295 -s wlc".split(" "));
        const ipvsadm = new ModelOfIpvsadm();
        ipvsadm.run(addService("fwm/4294967295", service));
        expect(ipvsadm.save()).toBe("-A -f -1 -s wlc\n");
        expect(() => new ModelOfIpvsadm().restore(ipvsadm.save())).toThrow(Refused);
    });

    test("sctp has no short option", () => {
        expect(deleteService("sctp/192.0.2.100:9")).toEqual(["-D", "--sctp-service", "192.0.2.100:9"]);
    });

    test("ipip is not named, so that an ipvsadm without tunnel types takes it", () => {
        expect(addDestination(`${web}/192.0.2.21:80`, ipip).join(" ")).not.toContain("--tun");
    });

    test("an edit from gue to ipip leaves no port and no checksum behind", () => {
        const key = `${web}/192.0.2.21:80`;
        const ipvsadm = new ModelOfIpvsadm();
        ipvsadm.run(addService(web, service));
        ipvsadm.run(addDestination(key, { ...ipip, tunnel: { type: "gue", port: 6080, checksum: "csum" } }));
        ipvsadm.run(editDestination(key, ipip));
        expect(parseTable(ipvsadm.save(), ipvsadm.thresholds()).destinations.get(key)).toEqual(ipip);
    });

    test.each([
        ["gue", 6080, "none", "--tun-type gue --tun-port 6080 --tun-nocsum"],
        ["gue", 6080, "csum", "--tun-type gue --tun-port 6080 --tun-csum"],
        ["gue", 6080, "remcsum", "--tun-type gue --tun-port 6080 --tun-remcsum"],
        ["gre", null, "none", "--tun-type gre --tun-nocsum"],
        ["gre", null, "csum", "--tun-type gre --tun-csum"],
    ] as const)("%s on port %s with checksum %s is %s", (type, port, checksum, expected) => {
        const words = addDestination(`${web}/192.0.2.21:80`, { ...ipip, tunnel: { type, port, checksum } });
        expect(words.join(" ")).toBe(`-a -t 192.0.2.100:80 -r 192.0.2.21:80 -i -w 1 -x 0 -y 0 ${expected}`);
    });

    test("a removal names, and nothing else", () => {
        expect(deleteService("fwm6/7").join(" ")).toBe("-D -f 7 -6");
        expect(deleteDestination("fwm6/7/[2001:db8::21]:0").join(" ")).toBe("-d -f 7 -6 -r [2001:db8::21]:0");
    });

    test("timeouts and daemons", () => {
        expect(setTimeouts({ tcp: 900, tcpfin: 120, udp: 0 }).join(" ")).toBe("--set 900 120 0");
        const daemon = { interface: "eth0", syncid: 0, group: "224.0.0.81", port: 8848, ttl: 1 };
        expect(startDaemon({ role: "master", ...daemon, maxlen: 1400 }).join(" ")).toBe(
            "--start-daemon master --mcast-interface eth0 --syncid 0 --sync-maxlen 1400 --mcast-group 224.0.0.81 --mcast-port 8848 --mcast-ttl 1",
        );
        expect(stopDaemon("backup")).toEqual(["--stop-daemon", "backup"]);
    });

    test("a daemon's maxlen of 0 is left out: the kernel takes the interface's", () => {
        const daemon = { interface: "eth0", syncid: 1, maxlen: 0, group: "ff02::81", port: 8848, ttl: 1 };
        expect(startDaemon({ role: "backup", ...daemon })).not.toContain("--sync-maxlen");
    });
});

describe("what ipvsadm would change is never sent", () => {
    test.each<[string, () => string[], string]>([
        ["dr to another port", () => addDestination(`${web}/192.0.2.21:8080`, dr), "the port is the service's, 80"],
        ["tun to another port", () => editDestination(`${web}/192.0.2.21:0`, ipip), "the port is the service's, 80"],
        ["flag-3 of sh", () => addService(web, { ...service, scheduler: "sh", flags: ["flag-3"] }), "no third flag"],
        ["a flag of another scheduler", () => addService(web, { ...service, flags: ["sh-port"] }), "not a flag"],
        ["ops on tcp", () => addService(web, { ...service, onePacket: true }), "one-packet"],
        ["families mixed by nat", () => addDestination(`${web}/[2001:db8::21]:80`, nat), "only a tunnel"],
        ["a tunnel for dr", () => addDestination(`${web}/192.0.2.21:80`, { ...dr, tunnel: ipip.tunnel }), "tunnel"],
        ["tun without a tunnel", () => addDestination(`${web}/192.0.2.21:80`, { ...ipip, tunnel: null }), "tunnel"],
        [
            "remcsum by gre",
            () =>
                addDestination(`${web}/192.0.2.21:80`, {
                    ...ipip,
                    tunnel: { type: "gre", port: null, checksum: "remcsum" },
                }),
            "no gre tunnel",
        ],
        [
            "gue without a port",
            () =>
                addDestination(`${web}/192.0.2.21:80`, {
                    ...ipip,
                    tunnel: { type: "gue", port: null, checksum: "none" },
                }),
            "no gue tunnel",
        ],
        ["an IPv6 mask on IPv4", () => addService(web, persistent(64)), "0 to 32"],
    ])("%s", (_, render, reason) => {
        expect(render).toThrow(reason);
    });

    test("dr and tun keep any port under a mark", () => {
        expect(addDestination("fwm/1/192.0.2.21:8080", dr)).toContain("192.0.2.21:8080");
        expect(addDestination("fwm6/1/192.0.2.21:8080", ipip)).toContain("192.0.2.21:8080");
    });
});

describe("a line for ipvsadm -R", () => {
    test("is the words with spaces between", () => {
        expect(restoreLine(addService("tcp/[2001:db8::1]:80", service))).toBe("-A -t [2001:db8::1]:80 -s wlc");
    });

    test.each([
        ["white space, at which -R cuts", ["-s", "w lc"]],
        ["a tab", ["-s", "w\tlc"]],
        ["a line's end", ["-s", "wlc\n-D"]],
        ["a carriage return", ["-s", "wlc\r"]],
        ["#, which ends -R", ["#", "-A"]],
        ["quotes, which -R does not strip", ["-s", '"wlc"']],
        ["nothing", ["-s", ""]],
        ["a backslash", ["-s", "w\\lc"]],
        ["letters beyond ASCII", ["-s", "wlç"]],
    ])("has no word with %s", (_, words) => {
        expect(() => restoreLine(words)).toThrow("cannot stand in a line");
    });

    test("is never empty", () => {
        expect(() => restoreLine([])).toThrow("cannot stand in a line");
    });
});

describe("what is read", () => {
    test("marks that -S prints negative are the large ones", () => {
        const { services } = parseTable(
            "-A -f -1 -s wlc\n-A -f -2147483648 -6 -s rr\n",
            `${HEAD}FWM  -1 wlc\nFWM  -2147483648 IPv6 rr\n`,
        );
        expect([...services.keys()]).toEqual(["fwm/4294967295", "fwm6/2147483648"]);
    });

    test("one mark of both families is two services, told apart by IPv6 in the listing", () => {
        const save =
            "-A -f 1 -s wlc\n-a -f 1 -r 192.0.2.21:0 -m -w 1\n-A -f 1 -6 -s rr\n-a -f 1 -6 -r [2001:db8::21]:0 -m -w 2\n";
        const listed = `${HEAD}FWM  1 wlc\n  -> 192.0.2.21:0    1 0 0 0\nFWM  1 IPv6 rr\n  -> [2001:db8::21]:0   2 0 0 0\n`;
        const { destinations } = parseTable(save, listed);
        expect(destinations.get("fwm/1/192.0.2.21:0")?.upperThreshold).toBe(1);
        expect(destinations.get("fwm6/1/[2001:db8::21]:0")?.upperThreshold).toBe(2);
    });

    test("an empty -b is the third flag of sh or mh, which has no name", () => {
        const { services } = parseTable("-A -t 192.0.2.100:80 -s sh -b \n", `${HEAD}TCP  192.0.2.100:80 sh ()\n`);
        expect(services.get(web)?.flags).toEqual(["flag-3"]);
    });

    test("a persistence engine without persistence is seen, so that it can be taken away", () => {
        const { services } = parseTable("-A -t 192.0.2.100:80 -s rr --pe sip\n", `${HEAD}TCP  192.0.2.100:80 rr\n`);
        expect(services.get(web)?.persistence).toEqual({ timeout: 0, netmask: 32, engine: "sip" });
    });

    test("a mask that is not printed is the host's own: 32, or 128 for IPv6", () => {
        const { services } = parseTable(
            "-A -t 192.0.2.100:80 -s rr -p 300\n-A -t [2001:db8::1]:80 -s rr -p 300\n",
            `${HEAD}TCP  192.0.2.100:80 rr persistent 300\nTCP  [2001:db8::1]:80 rr persistent 300\n`,
        );
        expect([...services.values()].map((value) => value.persistence?.netmask)).toEqual([32, 128]);
    });

    test("an ipvsadm that prints no --tun-type means ipip", () => {
        const { destinations } = parseTable(
            `${WEB}-a -t 192.0.2.100:80 -r 192.0.2.21:80 -i -w 1\n`,
            `${WEB_LISTED}  -> 192.0.2.21:80    0 0 0 0\n`,
        );
        expect(destinations.get(`${web}/192.0.2.21:80`)).toEqual(ipip);
    });

    test("ipvsadm 1.26 prints pe and ops without dashes", () => {
        const { services } = parseTable(
            "-A -u 192.0.2.100:5060 -s rr -p 300 pe sip ops\n",
            `${HEAD}UDP  192.0.2.100:5060 rr persistent 300 pe sip ops\n`,
        );
        expect(services.get("udp/192.0.2.100:5060")).toEqual({
            ...persistent(32, 300, "sip"),
            scheduler: "rr",
            onePacket: true,
        });
    });

    test("thresholds are taken from the listing, the only one that has them", () => {
        const { destinations } = parseTable(
            `${WEB}-a -t 192.0.2.100:80 -r 192.0.2.21:80 -g -w 1\n`,
            `${WEB_LISTED}  -> 192.0.2.21:80                100        50         3          4\n`,
        );
        expect(destinations.get(`${web}/192.0.2.21:80`)).toEqual({ ...dr, upperThreshold: 100, lowerThreshold: 50 });
    });

    test("an IPv6 name longer than its column is one word all the same", () => {
        const name = "[2001:db8:1234:5678:9abc:def0:1234:5678]:80";
        const { destinations } = parseTable(
            `-A -t [2001:db8::1]:80 -s wlc\n-a -t [2001:db8::1]:80 -r ${name} -g -w 1\n`,
            `${HEAD}TCP  [2001:db8::1]:80 wlc\n  -> ${name} 4000000    3999999    0          0         \n`,
        );
        expect(destinations.get(`tcp/[2001:db8::1]:80/${name}`)?.upperThreshold).toBe(4000000);
    });

    test("CRLF line ends, blank lines and missing titles change nothing", () => {
        const save = `${WEB}\n-a -t 192.0.2.100:80 -r 192.0.2.21:80 -g -w 1\n\n`.replaceAll("\n", "\r\n");
        const listed =
            "IP Virtual Server version 1.2.1 (size=4096)\r\nTCP  192.0.2.100:80 wlc\r\n  -> 192.0.2.21:80 0 0 0 0\r\n";
        expect([...parseTable(save, listed).destinations.keys()]).toEqual([`${web}/192.0.2.21:80`]);
    });

    test("an empty table is two empty maps", () => {
        expect(parseTable("", HEAD)).toEqual({ services: new Map(), destinations: new Map(), connections: new Map() });
    });

    test("what came or went between the two listings is not there", () => {
        const save = `${WEB}-a -t 192.0.2.100:80 -r 192.0.2.21:80 -g -w 1\n-A -t 192.0.2.101:80 -s rr\n`;
        const listed = `${WEB_LISTED}  -> 192.0.2.22:80 0 0 0 0\nTCP  192.0.2.102:80 rr\n`;
        const table = parseTable(save, listed);
        expect([...table.services.keys()]).toEqual([web]);
        expect([...table.destinations.keys()]).toEqual([]);
    });

    test("daemons of a kernel before 4.3, which prints two fields", () => {
        expect(parseDaemons("backup sync daemon (mcast=eth1, syncid=3)\n")).toEqual([
            { role: "backup", interface: "eth1", syncid: 3, maxlen: 0, group: "224.0.0.81", port: 8848, ttl: 1 },
        ]);
    });
});

describe("a line that is not understood is an error that shows it", () => {
    test.each([
        ["noise before the table", `Warning: IPVS version mismatch\n${WEB}`, 1],
        ["noise in another language", `${WEB}Speicherzugriffsfehler\n`, 2],
        ["an unknown command", `${WEB}-C\n`, 2],
        ["an unknown protocol", "-A --xxx-service 192.0.2.100:80 -s rr\n", 1],
        ["a resolved name", "-A -t web.example.com:http -s rr\n", 1],
        ["a service's name as port", "-A -t 192.0.2.100:http -s rr\n", 1],
        ["an address without a port", "-A -t 192.0.2.100 -s rr\n", 1],
        ["an option of tomorrow", "-A -t 192.0.2.100:80 -s rr --quic\n", 1],
        ["no scheduler", "-A -t 192.0.2.100:80\n", 1],
        ["a cut line", `${WEB}-a -t 192.0.2.100:80 -r 192.0.2.21:80 -g -w\n`, 2],
        ["a cut word", "-A -t 192.0.2.100:80 -s\n", 1],
        ["no weight", `${WEB}-a -t 192.0.2.100:80 -r 192.0.2.21:80 -g\n`, 2],
        ["a weight that is none", `${WEB}-a -t 192.0.2.100:80 -r 192.0.2.21:80 -g -w -1\n`, 2],
        ["no forwarding method", `${WEB}-a -t 192.0.2.100:80 -r 192.0.2.21:80 (null) -w 1\n`, 2],
        ["an unknown tunnel", `${WEB}-a -t 192.0.2.100:80 -r 192.0.2.21:80 -i -w 1 --tun-type vxlan\n`, 2],
        ["a real server of no service", "-a -t 192.0.2.100:80 -r 192.0.2.21:80 -g -w 1\n", 1],
        ["no real server", `${WEB}-a -t 192.0.2.100:80 -g -w 1\n`, 2],
        ["a service twice", `${WEB}${WEB}`, 2],
        ["a mark that is none", "-A -f 0 -s rr\n", 1],
        ["a mark beyond 32 bits", "-A -f 4294967296 -s rr\n", 1],
        ["a prefix length as an IPv4 mask", "-A -t 192.0.2.100:80 -s rr -p 300 -M 24\n", 1],
        ["a name of every object", "-A toString 192.0.2.100:80 -s rr\n", 1],
    ])("-Sn: %s", (_, save, line) => {
        const read = () => parseTable(save, HEAD);
        expect(read).toThrow(UnreadableOutput);
        expect(read).toThrow(`ipvsadm -Sn, line ${line}: `);
        expect(read).toThrow(JSON.stringify(save.split("\n")[line - 1]));
    });

    test.each([
        ["nothing at all", "", 0],
        ["another command's text", "Timeout (tcp tcpfin udp): 900 120 300\n", 1],
        ["a failure's text", "Can't initialize ipvs: Protocol not available\n", 1],
        ["noise in the table", `${WEB_LISTED}Killed\n`, 5],
        ["an unknown protocol", `${HEAD}?    192.0.2.100:80 wlc\n`, 4],
        ["no scheduler", `${HEAD}TCP  192.0.2.100:80\n`, 4],
        ["an attribute of tomorrow", `${HEAD}TCP  192.0.2.100:80 wlc quic\n`, 4],
        ["a cut row", `${WEB_LISTED}  -> 192.0.2.21:80 0 0 0\n`, 5],
        ["a row of another listing", `${WEB_LISTED}  -> 192.0.2.21:80 Route 1 0 0\n`, 5],
        ["a row with more", `${WEB_LISTED}  -> 192.0.2.21:80 0 0 0 0 0\n`, 5],
        ["a row of no service", `${HEAD}  -> 192.0.2.21:80 0 0 0 0\n`, 4],
        ["a service twice", `${WEB_LISTED}TCP  192.0.2.100:80 wlc\n`, 5],
    ])("-Ln --thresholds: %s", (_, listed, line) => {
        const read = () => parseTable("", listed);
        expect(read).toThrow(UnreadableOutput);
        expect(read).toThrow(`ipvsadm -Ln --thresholds, line ${line}: `);
    });

    test.each([
        "master sync daemon\n",
        "master sync daemon (mcast=eth0)\n",
        "master sync daemon (mcast=eth0, syncid=x)\n",
        "master sync daemon (mcast=eth0, syncid=1, color=red)\n",
        "slave sync daemon (mcast=eth0, syncid=1)\n",
        "Permission denied\n",
    ])("-L --daemon: %j", (text) => {
        expect(() => parseDaemons(text)).toThrow("ipvsadm -L --daemon, line 1: ");
    });
});

describe("/proc/net/ip_vs", () => {
    const PROC = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
`;

    test("addresses are hexadecimal, of both families", () => {
        const counts = parseConnections(
            `${PROC}TCP  C0000264:0050 wlc  \n  -> C0000215:1F90      Masq    2      7          8         \nTCP  [2001:0db8:0000:0000:0000:0000:0000:0001]:0050 wlc \n  -> [2001:0db8:0000:0000:0000:0000:0000:0021]:0050      Route   1      5          6         \n`,
        );
        expect(Object.fromEntries(counts)).toEqual({
            "tcp/192.0.2.100:80/192.0.2.21:8080": { active: 7, inactive: 8, weight: 2 },
            "tcp/[2001:db8::1]:80/[2001:db8::21]:80": { active: 5, inactive: 6, weight: 1 },
        });
    });

    test("a mark is printed without its family: real servers by nat or dr tell it", () => {
        const counts = parseConnections(
            `${PROC}FWM  00000001 rr \n  -> 0A000001:0000      Tunnel  1      1          0         \n  -> [2001:0db8:0000:0000:0000:0000:0000:0021]:0000      Masq    1      2          0         \nFWM  00000001 rr \n  -> 0A000002:0000      Masq    1      3          0         \n`,
        );
        expect([...counts.keys()]).toEqual(["fwm6/1/10.0.0.1:0", "fwm6/1/[2001:db8::21]:0", "fwm/1/10.0.0.2:0"]);
    });

    test("a mark with tunnels only counts for both families, the larger count where both have the real server", () => {
        const counts = parseConnections(
            `${PROC}FWM  FFFFFFFF rr \n  -> 0A000001:0000      Tunnel  1      9          0         \nFWM  FFFFFFFF rr \n  -> 0A000001:0000      Tunnel  1      4          5         \n`,
        );
        expect(counts.get("fwm/4294967295/10.0.0.1:0")).toMatchObject({ active: 9, inactive: 5 });
        expect(counts.get("fwm6/4294967295/10.0.0.1:0")).toMatchObject({ active: 9, inactive: 5 });
    });

    test.each([
        ["", 0],
        ["cat: /proc/net/ip_vs: No such file or directory\n", 1],
        [`${PROC}TCP  192.0.2.100:80 wlc\n`, 4],
        [`${PROC}TCP  C0000264:0050\n`, 4],
        [`${PROC}FWM  1 wlc\n`, 4],
        [`${PROC}  -> C0000215:1F90      Masq    2      7          8\n`, 4],
        [`${PROC}TCP  C0000264:0050 wlc  \n  -> C0000215:1F90      Masq    2      7\n`, 5],
    ])("is refused where it is not understood: %j", (text, line) => {
        expect(() => parseConnections(text)).toThrow(`/proc/net/ip_vs, line ${line}: `);
    });
});
