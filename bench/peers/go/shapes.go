/* shapes.go - products of matrices and sorting by merging, as in matmul.h and mergesort.h: a goroutine for each part but
 * the last, and a wait group. */
package main

import (
	"sync"
	"time"
)

// ---- Matrices -------------------------------------------------------------------------------------------------------

const (
	matmulLeaf    = 32
	matmulPadding = 8
)

type matmul struct {
	a, b, c   []float64
	n, stride int
}

func (m *matmul) part(half, i int) matmul {
	n, s := m.n/2, m.stride
	row, column, inner := i/2*n, i%2*n, half*n
	return matmul{m.a[row*s+inner:], m.b[inner*s+column:], m.c[row*s+column:], n, s}
}

// Four elements of a row at a time: Go has no vectors.
func (m *matmul) leaf() {
	s := m.stride
	for i := 0; i < m.n; i++ {
		a, c := m.a[i*s:i*s+m.n], m.c[i*s:i*s+m.n]
		for j := 0; j < m.n; j += 4 {
			var c0, c1, c2, c3 float64
			for k, x := range a {
				b := m.b[k*s+j : k*s+j+4 : k*s+j+4]
				c0 += x * b[0]
				c1 += x * b[1]
				c2 += x * b[2]
				c3 += x * b[3]
			}
			c[j] += c0
			c[j+1] += c1
			c[j+2] += c2
			c[j+3] += c3
		}
	}
}

func (m *matmul) multiply() {
	if m.n <= matmulLeaf {
		m.leaf()
		return
	}
	for half := 0; half < 2; half++ {
		var others sync.WaitGroup
		others.Add(3)
		for i := 0; i < 3; i++ {
			part := m.part(half, i)
			go func() {
				part.multiply()
				others.Done()
			}()
		}
		last := m.part(half, 3)
		last.multiply()
		others.Wait()
	}
}

// All numbers are whole, and so small that the product is exact: c x must be a (b x).
func (m *matmul) check() {
	var wrong uint64
	bx := make([]float64, m.n)
	for i := range bx {
		for j := 0; j < m.n; j++ {
			bx[i] += m.b[i*m.stride+j] * float64(1+j%7)
		}
	}
	for i := 0; i < m.n; i++ {
		abx, cx := 0.0, 0.0
		for j := 0; j < m.n; j++ {
			abx += m.a[i*m.stride+j] * bx[j]
			cx += m.c[i*m.stride+j] * float64(1+j%7)
		}
		if abx != cx {
			wrong++
		}
	}
	expect(wrong, 0, "wrong rows of the product")
}

func multiply() []float64 {
	n := size(1024, 256)
	stride := n + matmulPadding
	m := matmul{make([]float64, n*stride), make([]float64, n*stride), make([]float64, n*stride), n, stride}
	for i := range m.a {
		m.a[i] = float64(i*7%17 - 8)
		m.b[i] = float64(i*5%19 - 9)
	}
	warm := m
	warm.n = n / 4
	warm.multiply()
	for i := range m.c {
		m.c[i] = 0
	}
	begun := time.Now()
	m.multiply()
	ms := since(begun, 1e6)
	m.check()
	return []float64{ms}
}

// ---- Sorting --------------------------------------------------------------------------------------------------------

const (
	mergeRun       = 2048
	mergeInsertion = 12
)

func mergeSerial(to, a, b []uint64) {
	for len(a) > 0 && len(b) > 0 {
		if b[0] < a[0] {
			to[0] = b[0]
			b = b[1:]
		} else {
			to[0] = a[0]
			a = a[1:]
		}
		to = to[1:]
	}
	copy(to[copy(to, a):], b)
}

// Sorts the keys at v, and leaves them at to, which begins as a copy of them.
func mergeSortSerial(v, to []uint64) {
	if len(v) <= mergeInsertion {
		for i, key := range to {
			k := i
			for ; k > 0 && key < to[k-1]; k-- {
				to[k] = to[k-1]
			}
			to[k] = key
		}
		return
	}
	half := len(v) / 2
	mergeSortSerial(to[:half], v[:half])
	mergeSortSerial(to[half:], v[half:])
	mergeSerial(to, v[:half], v[half:])
}

func fork(a, b func()) {
	var other sync.WaitGroup
	other.Add(1)
	go func() {
		a()
		other.Done()
	}()
	b()
	other.Wait()
}

// How many keys at v come before key; those that equal it count if equal.
func mergeRank(v []uint64, key uint64, equal bool) int {
	low, n := 0, len(v)
	for n > 0 {
		half := n / 2
		if x := v[low+half]; x < key || equal && x == key {
			low += half + 1
			n -= half + 1
		} else {
			n = half
		}
	}
	return low
}

func mergeParallel(to, a, b []uint64) {
	if len(a)+len(b) <= mergeRun {
		mergeSerial(to, a, b)
		return
	}
	ia, ib := len(a)/2, len(b)/2
	if len(a) >= len(b) {
		ib = mergeRank(b, a[ia], false)
	} else {
		ia = mergeRank(a, b[ib], true)
	}
	fork(func() { mergeParallel(to[:ia+ib], a[:ia], b[:ib]) }, func() { mergeParallel(to[ia+ib:], a[ia:], b[ib:]) })
}

func mergeSort(v, to []uint64) {
	if len(v) <= mergeRun {
		mergeSortSerial(v, to)
		return
	}
	half := len(v) / 2
	fork(func() { mergeSort(to[:half], v[:half]) }, func() { mergeSort(to[half:], v[half:]) })
	mergeParallel(to, v[:half], v[half:])
}

func sortByMerging() []float64 {
	keys := make([]uint64, size(10000000, 300000))
	state, sum, sortedSum, wrong := uint64(88172645463325252), uint64(0), uint64(0), uint64(0)
	for i := range keys {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		keys[i] = state
		sum += state
	}
	few := append([]uint64(nil), keys[:len(keys)/16]...)
	mergeSort(append([]uint64(nil), few...), few)
	scratch := append([]uint64(nil), keys...)
	begun := time.Now()
	mergeSort(scratch, keys)
	ns := since(begun, float64(len(keys)))
	for i, key := range keys {
		sortedSum += key
		if i > 0 && keys[i-1] > key {
			wrong++
		}
	}
	expect(wrong, 0, "keys out of order")
	expect(sortedSum, sum, "sum of the keys")
	return []float64{ns}
}
