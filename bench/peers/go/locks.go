/* locks.go - goroutines that want one mutex. */
package main

import (
	"sync"
	"time"
)

const wanting = 8

func mutexAlone() []float64 {
	n := size(5000000, 500000)
	var m sync.Mutex
	begun := time.Now()
	for i := 0; i < n; i++ {
		m.Lock()
		m.Unlock()
	}
	return []float64{since(begun, float64(n))}
}

func mutexCrowd() []float64 {
	each := size(500000, 50000)
	var m sync.Mutex
	var all sync.WaitGroup
	var count uint64
	all.Add(wanting)
	begun := time.Now()
	for i := 0; i < wanting; i++ {
		go func() {
			for k := 0; k < each; k++ {
				m.Lock()
				count++
				m.Unlock()
			}
			all.Done()
		}()
	}
	all.Wait()
	ns := since(begun, float64(wanting*each))
	expect(count, uint64(wanting*each), "the count")
	return []float64{ns}
}
