// Package libpf stands in for the profiler's package of this name, which the module proxy does not have: the
// Elasticsearch exporter needs it to compile. It serves profiles only, and no log line passes through it.
package libpf

import (
	"encoding/base64"
	"encoding/hex"
	"errors"

	"go.opentelemetry.io/ebpf-profiler/libpf/basehash"
)

// FileID names an executable.
type FileID struct {
	basehash.Hash128
}

// AddressOrLineno is an address in an executable, or a line of a source.
type AddressOrLineno uint64

// FrameType says which kind of code a frame is of.
type FrameType byte

// NewFileID makes a FileID of its two halves.
func NewFileID(hi, lo uint64) FileID { return FileID{basehash.New128(hi, lo)} }

// FileIDFromBytes reads the 16 bytes of a FileID.
func FileIDFromBytes(b []byte) (FileID, error) {
	hash, err := basehash.New128FromBytes(b)
	return FileID{hash}, err
}

// FileIDFromString reads 32 hexadecimal digits.
func FileIDFromString(text string) (FileID, error) {
	b, err := hex.DecodeString(text)
	if err != nil {
		return FileID{}, err
	}
	if len(b) != 16 {
		return FileID{}, errors.New("a file id has 32 hexadecimal digits")
	}
	return FileIDFromBytes(b)
}

// Base64 is the id in URL-safe base64 without padding.
func (f FileID) Base64() string { return base64.RawURLEncoding.EncodeToString(f.Bytes()) }

// IsError says whether the frame stands for a failure to unwind, of which there are none here.
func (FrameType) IsError() bool { return false }

// FrameTypeFromString knows no kinds here.
func FrameTypeFromString(string) FrameType { return 0 }
