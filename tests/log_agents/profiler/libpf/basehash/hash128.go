// Package basehash has the 128 bits of an id.
package basehash

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
)

// Hash128 is an id of 128 bits.
type Hash128 struct{ hi, lo uint64 }

// New128 makes an id of its two halves.
func New128(hi, lo uint64) Hash128 { return Hash128{hi, lo} }

// New128FromBytes reads 16 bytes, the most significant first.
func New128FromBytes(b []byte) (Hash128, error) {
	if len(b) != 16 {
		return Hash128{}, errors.New("an id has 16 bytes")
	}
	return Hash128{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}, nil
}

// IsZero says whether no bit is set.
func (h Hash128) IsZero() bool { return h == Hash128{} }

// Hi is the upper half.
func (h Hash128) Hi() uint64 { return h.hi }

// Lo is the lower half.
func (h Hash128) Lo() uint64 { return h.lo }

// Bytes are the 16 bytes, the most significant first.
func (h Hash128) Bytes() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, h.hi), h.lo)
}

// Base64 is the id in URL-safe base64 without padding.
func (h Hash128) Base64() string { return base64.RawURLEncoding.EncodeToString(h.Bytes()) }
