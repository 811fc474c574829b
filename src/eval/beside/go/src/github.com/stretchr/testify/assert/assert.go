// assert.go - what HumanEvalPack's tests use of testify, which is not there in a sandbox: equality of values with the same types, as reflect sees it, of byte
// slices by their bytes.
package assert

import (
	"bytes"
	"reflect"
	"testing"
)

// Assertions belong to one test.
type Assertions struct{ t *testing.T }

// New makes assertions of which a wrong one marks t as failed; t goes on.
func New(t *testing.T) *Assertions { return &Assertions{t} }

// Equal reports whether both are deeply equal.
func (a *Assertions) Equal(expected, actual interface{}, more ...interface{}) bool {
	a.t.Helper()
	return Equal(a.t, expected, actual, more...)
}

// Equal reports whether both are deeply equal.
func Equal(t *testing.T, expected, actual interface{}, more ...interface{}) bool {
	t.Helper()
	x, isBytes := expected.([]byte)
	y, areBoth := actual.([]byte)
	same := reflect.DeepEqual(expected, actual)
	if isBytes && areBoth && x != nil && y != nil {
		same = bytes.Equal(x, y)
	}
	if !same {
		t.Errorf("expected %#v, got %#v", expected, actual)
	}
	return same
}
