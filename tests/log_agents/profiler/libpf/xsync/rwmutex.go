// Package xsync has a mutex that owns what it guards.
package xsync

import "sync"

// RWMutex guards a value that is reached only while it is locked.
type RWMutex[T any] struct {
	guarded T
	mutex   sync.RWMutex
}

// NewRWMutex guards this value.
func NewRWMutex[T any](guarded T) RWMutex[T] { return RWMutex[T]{guarded: guarded} }

// RLock locks for reading.
func (m *RWMutex[T]) RLock() *T {
	m.mutex.RLock()
	return &m.guarded
}

// RUnlock ends it, and takes the pointer away.
func (m *RWMutex[T]) RUnlock(reference **T) {
	*reference = nil
	m.mutex.RUnlock()
}

// WLock locks for writing.
func (m *RWMutex[T]) WLock() *T {
	m.mutex.Lock()
	return &m.guarded
}

// WUnlock ends it, and takes the pointer away.
func (m *RWMutex[T]) WUnlock(reference **T) {
	*reference = nil
	m.mutex.Unlock()
}
