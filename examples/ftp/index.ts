import * as pulumi from "@pulumi/pulumi";
import * as lvs from "pulumi-lvs";

/** FTP by NAT: the director's helper reads the control connection, so that data connections find their real server. */
async function program() {
    const lb1 = new lvs.Director("lb1", { connection: "lb1", interface: "eth0", ftp: { ports: [21] } });
    const ftp = new lvs.VirtualService("ftp", {
        director: lb1,
        protocol: "tcp",
        address: "10.77.1.100",
        port: 21,
        scheduler: "wrr",
    });
    const ftp1 = new lvs.RealServer("ftp1", {
        service: ftp,
        address: "10.77.2.21",
        forwarding: "nat",
        weight: 2,
        connection: "ftp1",
    });
    const ftp2 = new lvs.RealServer("ftp2", {
        service: ftp,
        address: "10.77.2.22",
        forwarding: "nat",
        weight: 1,
        connection: "ftp2",
    });
    const ftp3 = new lvs.RealServer("ftp3", {
        service: ftp,
        address: "10.77.2.23",
        forwarding: "nat",
        weight: 1,
        connection: "ftp3",
    });
    return { url: pulumi.interpolate`ftp://${ftp.address}/`, realServers: [ftp1.id, ftp2.id, ftp3.id] };
}

// Pulumi calls the function that a program exports; a test or a program of one's own takes it by its name.
export = Object.assign(program, { program });
