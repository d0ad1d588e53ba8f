import { httpRequest, httpServer } from "./http";
import { promises } from "./scenario";

describe("examples/nat", () => {
    promises({
        example: "nat",
        director: "lb1",
        shares: { web1: 2, web2: 1 },
        // wlc weighs connections that are there at the moment, those just ended among them.
        tolerance: 1,
        serve: httpServer,
        request: httpRequest,
        resources: 4,
        weight: { edit: ["weight: 2", "weight: 4"], shares: { web1: 4, web2: 1 } },
        port: 80,
        scheduler: "wlc",
        control: {
            what: "that the director forwards",
            undo: { hosts: ["lb1"], script: "sysctl -qw net.ipv4.ip_forward=0" },
            look: { host: "client", script: "curl -sS -m 4 http://10.77.1.100/", good: /^web[12]\n$/ },
        },
    });
});
