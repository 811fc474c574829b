// begin_test.go - beside a program's tests: prints the nonce when all of them have passed, so that os.Exit(0) is no pass. The nonce comes through a pipe; this
// file's variables are set before those of the program, whose name comes later. PACKAGE is the program's, VARIABLE a name that it cannot know.
package PACKAGE

import (
	"io"
	"os"
	"testing"
)

var VARIABLE = func() string {
	pipe := os.NewFile(3, "nonce")
	defer pipe.Close()
	digits, _ := io.ReadAll(pipe)
	return string(digits)
}()

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		os.Stdout.WriteString("\n" + VARIABLE + "\n")
	}
	os.Exit(code)
}
