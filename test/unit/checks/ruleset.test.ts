/** What a packet filter does with a packet: said where it is certain, for the rulesets that hosts have. */
import { chainsOf, droppedAt, type Packet } from "../../../provider/checks/ruleset";
import { probeOf } from "../../../provider/kinds/probe";

const http: Packet = { family: "ip", protocol: "tcp", daddr: "192.0.2.100", dport: 80, first: true };
const answer: Packet = { family: "ip", protocol: "tcp", saddr: "10.0.0.21", sport: 80, iif: "eth1", oif: "eth0" };
const block = (head: string, lines: string[]) =>
    `\tchain ${head} {\n${lines.map((line) => `\t\t${line}\n`).join("")}\t}\n`;

type Chains = Record<string, string[]>;
const inTable = (table: string, chains: Chains) =>
    `table ${table} {\n${Object.entries(chains)
        .map(([name, rules]) => block(name, rules))
        .join("\n")}}\n`;
const dropped = (ruleset: string, packet = http, hook = "input") =>
    droppedAt(hook, packet, chainsOf({ probe: probeOf({ input: ruleset }), objects: new Map() })) !== undefined;
const hooked = (policy: string, rules: string[], hook = "input") => [
    `type filter hook ${hook} priority filter; policy ${policy};`,
    ...rules,
];
const input = (policy: string, ...rules: string[]) => inTable("inet filter", { input: hooked(policy, rules) });

describe("single rules", () => {
    test.each([
        ["another address's accept alone", input("drop", "ip daddr 192.0.2.99 accept")],
        ["a drop of the address", input("accept", "ip daddr 192.0.2.100 drop")],
        ["a drop of its network, in a set", input("accept", "ip daddr { 198.51.100.1, 192.0.2.0/24 } drop")],
        ["a drop of all others", input("accept", "ip daddr != 192.0.2.99 counter packets 1 bytes 2 drop")],
        ["an accept of the other family", input("drop", "ip6 daddr 2001:db8::1 accept", "meta nfproto ipv6 accept")],
        [
            "an accept of another protocol",
            input("drop", "meta l4proto { icmp, ipv6-icmp } accept", "udp dport 80 accept"),
        ],
        [
            "an accept of what is established",
            input("drop", "ct state established,related accept", "ct state { invalid } drop"),
        ],
        ["a map of states", input("drop", "ct state vmap { established : accept, related : accept, invalid : drop }")],
        ["a map of ports", input("accept", "tcp dport vmap { 22 : accept, 80 : drop }")],
        ["a drop after a log", input("accept", 'log prefix "in: " level info', "tcp dport 80 log drop")],
        ["an accept on lo", input("drop", 'iif "lo" accept', 'iifname "lo" accept')],
        ["a reject of the rest", input("accept", "tcp dport 22 accept", "reject with icmpx admin-prohibited")],
        ["a set over two lines", input("drop", "ip daddr { 192.0.2.1, 192.0.2.2,\n\t\t\t     192.0.2.3 } accept")],
        ["a drop or the policy", input("drop", "ip saddr 203.0.113.0/24 drop")],
    ])("%s drops", (_, ruleset) => expect(dropped(ruleset)).toBe(true));

    test.each([
        ["an accept of the address", input("drop", "ip daddr 192.0.2.100 accept")],
        ["an accept of its protocol among others", input("drop", "meta l4proto { icmp, tcp } accept")],
        ["a drop of another address", input("accept", "ip daddr 192.0.2.99 drop")],
        ["a drop of some clients", input("accept", "ip saddr 203.0.113.0/24 drop")],
        ["an accept of some clients", input("drop", "ip saddr 203.0.113.0/24 accept")],
        ["an accept on an interface", input("drop", 'iifname "eth0" accept')],
        ["an accept by a named set", input("drop", "tcp dport @open accept")],
        ["an accept by a named map", input("drop", "tcp dport vmap @services")],
        ["a drop beyond a rate", input("accept", "tcp dport 80 limit rate over 5/second drop")],
        ["an accept of new ones", input("drop", "ct state { new, untracked } tcp dport 80 accept")],
        ["an accept of what was sent elsewhere", input("drop", "ct original ip daddr 192.0.2.99 accept")],
        ["an accept of a pair", input("drop", "ip daddr . tcp dport { 192.0.2.100 . 80 } accept")],
        ["what is queued", input("drop", "tcp dport 80 queue to 1")],
        ["a chain that did not come whole", input("drop").replace(/\t}\n}\n$/, "")],
        ["a chain behind IPVS", input("drop").replace("priority filter", "priority srcnat + 5")],
        ["another hook", inTable("inet filter", { output: hooked("drop", [], "output") })],
        ["another family's table", inTable("ip6 filter", { input: hooked("drop", []) })],
    ])("%s does not, or may not", (_, ruleset) => expect(dropped(ruleset)).toBe(false));
});

describe("chains that others jump to", () => {
    const ufw = (...user: string[]) =>
        inTable("ip filter", {
            INPUT: hooked("drop", [
                "counter packets 5 bytes 6 jump ufw-before-input",
                "counter packets 5 bytes 6 jump ufw-reject-input",
            ]),
            "ufw-before-input": [
                'iifname "lo" counter packets 0 bytes 0 accept',
                "ct state related,established counter packets 5 bytes 6 accept",
                "ct state invalid counter packets 0 bytes 0 jump ufw-logging-deny",
                "icmp type echo-request counter packets 0 bytes 0 accept",
                "meta l4proto udp udp sport 67 udp dport 68 counter packets 0 bytes 0 accept",
                "counter packets 5 bytes 6 jump ufw-not-local",
                "meta l4proto udp ip daddr 224.0.0.251 udp dport 5353 counter packets 0 bytes 0 accept",
                "counter packets 5 bytes 6 jump ufw-user-input",
            ],
            "ufw-logging-deny": ["ct state invalid counter packets 0 bytes 0 return"],
            "ufw-not-local": [
                "fib daddr type local counter packets 5 bytes 6 return",
                "counter packets 0 bytes 0 drop",
            ],
            "ufw-user-input": ["tcp dport 22 counter packets 1 bytes 2 accept", ...user],
            "ufw-reject-input": [],
        });
    const firewalld = (...allowed: string[]) =>
        inTable("inet firewalld", {
            filter_INPUT: [
                "type filter hook input priority filter + 10; policy accept;",
                "ct state { established, related } accept",
                "ct status dnat accept",
                'iifname "lo" accept',
                "ct state invalid drop",
                "jump filter_INPUT_ZONES",
                "reject with icmpx admin-prohibited",
            ],
            filter_INPUT_ZONES: ['iifname "eth0" goto filter_IN_public', "goto filter_IN_public"],
            filter_IN_public: ["jump filter_IN_public_allow", "meta l4proto { icmp, ipv6-icmp } accept"],
            filter_IN_public_allow: ["tcp dport 22 accept", "ip6 daddr fe80::/64 udp dport 546 accept", ...allowed],
        });

    test("are followed: ufw without a rule for the port drops it, with one it does not", () => {
        expect(dropped(ufw())).toBe(true);
        expect(dropped(ufw("tcp dport 80 counter packets 1 bytes 2 accept"))).toBe(false);
        expect(dropped(ufw("ip daddr 192.0.2.99 tcp dport 80 accept"))).toBe(true);
    });

    test("are followed: firewalld, too", () => {
        expect(dropped(firewalld())).toBe(true);
        expect(dropped(firewalld("tcp dport { 80, 443 } accept"))).toBe(false);
    });

    test("may do anything where they are not there, or in a circle", () => {
        expect(dropped(input("drop", "jump elsewhere"))).toBe(false);
        const circle = inTable("inet filter", { input: hooked("drop", ["jump a"]), a: ["jump b"], b: ["jump a"] });
        expect(dropped(circle)).toBe(false);
    });

    test("send back who returns, and not who goes", () => {
        const by = (word: string) =>
            inTable("inet filter", {
                input: hooked("accept", [`${word} a`, "drop"]),
                a: ["tcp dport 80 return", "drop"],
            });
        expect(dropped(by("jump"))).toBe(true);
        expect(dropped(by("goto"))).toBe(false);
    });
});

describe("answers at forward", () => {
    const docker = (...user: string[]) =>
        inTable("ip filter", {
            FORWARD: hooked(
                "drop",
                ["counter packets 0 bytes 0 jump DOCKER-USER", "counter packets 0 bytes 0 jump DOCKER"],
                "forward",
            ),
            "DOCKER-USER": [...user, "counter packets 0 bytes 0 return"],
            DOCKER: [
                'iifname "docker0" counter packets 0 bytes 0 accept',
                'oifname "docker0" counter packets 0 bytes 0 drop',
            ],
        });

    test("are dropped by Docker's policy, and let through by a rule for them", () => {
        expect(dropped(docker(), answer, "forward")).toBe(true);
        expect(dropped(docker("ip saddr 10.0.0.21 tcp sport 80 accept"), answer, "forward")).toBe(false);
        expect(dropped(docker("ip saddr 10.0.0.0/24 accept"), answer, "forward")).toBe(false);
    });

    test("may be let through by their state, whatever that is", () => {
        expect(dropped(docker("ct state established,related accept"), answer, "forward")).toBe(false);
    });
});

describe("iptables", () => {
    const saved = (...rules: string[]) =>
        droppedAt(
            "input",
            http,
            chainsOf({
                probe: probeOf({
                    "input.iptables": `iptables\n:INPUT DROP [0:0]\n:services - [0:0]\n${rules.join("\n")}\nCOMMIT\n`,
                }),
                objects: new Map(),
            }),
        ) !== undefined;

    test.each([
        ["-A INPUT -d 192.0.2.99/32 -j ACCEPT"],
        ["-A INPUT ! -d 192.0.2.100/32 -j ACCEPT"],
        ["-A INPUT -i lo -j ACCEPT"],
        ["-A INPUT -j services\n-A services -p tcp -m multiport --dports 22,8000:8100 -j ACCEPT"],
        ['-A INPUT -p udp -m comment --comment "-j ACCEPT -p tcp" -j ACCEPT'],
    ])("%s lets nothing in", (rules) => expect(saved(rules)).toBe(true));

    test.each([
        ["-A INPUT -d 192.0.2.0/24 -j ACCEPT"],
        ["-A INPUT -j services\n-A services -p tcp -m multiport --dports 22,80:100 -j ACCEPT"],
        ["-A INPUT -i eth+ -j ACCEPT"],
        ["-A INPUT -m set --match-set open dst -j ACCEPT"],
        ["-A INPUT -p tcp ! --dport 22 -j ACCEPT"],
        ["-A INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -d 192.0.2.100/32 -j ACCEPT"],
        ["-A INPUT -f -j ACCEPT"],
        ["-A INPUT -j elsewhere"],
        ["-A INPUT -p tcp -m conntrack --ctstate NEW -j ACCEPT"],
    ])("%s lets it in, or may", (rules) => expect(saved(rules)).toBe(false));
});
