//go:build tools

// Package tools pins the Pulumi CLI that the tests and the demo run. The CLI is in neither npm nor Debian, but it
// builds from Go modules; this import makes `go mod tidy` keep everything that the build needs.
package tools

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
