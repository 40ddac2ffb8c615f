/* picture.h - writes a PNG file, by libpng. */
#ifndef PICTURE_H
#define PICTURE_H

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* rgb has three bytes for each pixel, row by row.  It is encoded also if path is NULL, and then goes nowhere.  Needs more of
 * a stack than a task has for sure: for main.  Returns 0, or 1 after it has said what is wrong. */
static inline int
picture_write(const char *path, const unsigned char *rgb, size_t width, size_t height)
{
    png_image image = {.version = PNG_IMAGE_VERSION, .format = PNG_FORMAT_RGB};
    image.width = (png_uint_32)width;
    image.height = (png_uint_32)height;
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
    void *data = malloc(size);
    FILE *f = path ? fopen(path, "wb") : NULL;
    int good = data && (f || !path) && png_image_write_to_memory(&image, data, &size, 0, rgb, 0, NULL);
    if (good && f && fwrite(data, 1, size, f) != size) good = 0;
    if (f && fclose(f) != 0) good = 0;
    if (!good)
        fprintf(stderr, "%s: %s\n", path ? path : "picture", *image.message ? image.message : "cannot be written");
    free(data);
    return !good;
}

/* A colour for x, from 0 (black) by red and yellow to 1 (white). */
static inline void
picture_colour(unsigned char *rgb, double x)
{
    for (int i = 0; i < 3; i++) {
        double level = 3 * x - i;
        rgb[i] = (unsigned char)(level <= 0 ? 0 : level >= 1 ? 255 : 255 * level);
    }
}

#endif
