/**
 * What the lab says to its user when it cannot go on: a message that needs no stack trace.
 * Anything else that is thrown is a defect of the lab.
 */
export class LabError extends Error {
    name = "LabError";
}
