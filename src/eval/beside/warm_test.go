// warm_test.go - compiled once: what programs import is in the cache of the compiler then.
package warm

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"github.com/stretchr/testify/assert"
	"io"
	"math"
	"math/rand"
	"os"
	"reflect"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
)

func TestNothing(t *testing.T) {
	assert.New(t).Equal(fmt.Sprint(math.Pi, strconv.Itoa(1), strings.ToUpper(""), reflect.TypeOf(1), errors.New(""), bytes.NewBuffer(nil)), "")
	fmt.Sprint(sort.IsSorted(nil), regexp.MustCompile(""), rand.Int(), time.Now(), unicode.IsSpace(' '), md5.Sum(nil), hex.EncodeToString(nil), io.EOF, os.Args)
}
