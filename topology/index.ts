/**
 * The program of the root Pulumi.yaml. Pulumi calls the function that this module exports; a program of one's own, or a
 * test, runs the same function inline.
 */
import { program } from "./program";

const topology = Object.assign(program, { program });

export = topology;
