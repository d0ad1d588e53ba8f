import * as pulumi from "@pulumi/pulumi";
import * as lvs from "pulumi-lvs";

/** HTTP by NAT: the real servers stand on a network of their own behind the director, which is their way out. */
async function program() {
    const lb1 = new lvs.Director("lb1", { connection: "lb1", interface: "eth0" });
    const web = new lvs.VirtualService("web", {
        director: lb1,
        protocol: "tcp",
        address: "10.77.1.100",
        port: 80,
        scheduler: "wlc",
    });
    // With a connection the real server's way back is checked: it must go through the director.
    const web1 = new lvs.RealServer("web1", {
        service: web,
        address: "10.77.2.21",
        forwarding: "nat",
        weight: 2,
        connection: "web1",
    });
    const web2 = new lvs.RealServer("web2", {
        service: web,
        address: "10.77.2.22",
        forwarding: "nat",
        weight: 1,
        connection: "web2",
    });
    return { url: pulumi.interpolate`http://${web.address}/`, realServers: [web1.id, web2.id] };
}

// Pulumi calls the function that a program exports; a test or a program of one's own takes it by its name.
export = Object.assign(program, { program });
